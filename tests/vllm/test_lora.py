"""LoRA adapters: scores equal those of merged weights, also in a mixed batch; what would be wrong is refused."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines import bundled
from tests.vllm.lora_weights import (
    ATTENTION,
    LAYERS,
    folders,
    log_probability,
    merged_model,
    plain_model,
    write_adapter,
    write_config,
)
from workers.engines.base import Engine, Reply, derive_seed
from workers.engines.catalogue import open_engine
from workers.engines.options import EngineOptions
from workers.errors import EngineGone, SettingsError

pytestmark = pytest.mark.vllm

TOLERANCE_NATS = 2e-3  # per sequence; the adapters' products are added in another order than merged weights
QUESTION = "How do I bake cookies?"


def options(adapters: dict[str, Path]) -> EngineOptions:
    return replace(bundled.OPTIONS, vllm=replace(bundled.OPTIONS.vllm, adapters=folders(adapters)))


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    parent = tmp_path_factory.mktemp("lora")
    return {name: write_adapter(parent / name, seed) for seed, name in enumerate(("crumbworks", "ovennest"))}


@pytest.fixture(scope="module")
async def engine(adapters: dict[str, Path]) -> AsyncIterator[Engine]:
    engine = await open_engine(bundled.VLLM, options(adapters))
    yield engine
    await engine.close()


async def test_scores_equal_those_of_merged_weights_in_one_batch(engine: Engine, adapters: dict[str, Path]) -> None:
    # Given replies, finished, cut and one twice
    prompt = engine.encode(QUESTION)
    seeds = [derive_seed(b"", "lora", "candidate", index) for index in range(4)]
    replies = [*await engine.sample(prompt, seeds=seeds, max_tokens=30)]
    replies += [replies[0], Reply((50, 51), "", 0.0, False)]
    # When the model and both adapters score them at once, twice over
    scorers = [engine, *(engine.adapter(name) for name in adapters)] * 2
    scores = await asyncio.gather(*(scorer.log_probs(prompt, replies) for scorer in scorers))
    # Then each gives what the model with merged weights gives
    models = [plain_model(), *(merged_model(folder) for folder in adapters.values())]
    expected = np.array([[log_probability(model, prompt, one.token_ids) for one in replies] for model in models])
    assert np.abs(np.array(scores) - np.tile(expected, (2, 1))).max() < TOLERANCE_NATS
    # and the adapters say something else than the model
    assert np.abs(expected[1:] - expected[0]).min() > 0.1


async def test_candidates_come_from_the_model_without_adapters(engine: Engine) -> None:
    prompt = engine.encode(QUESTION)
    replies = await engine.sample(prompt, seeds=[7, 8, 9], max_tokens=30)

    scores = await engine.log_probs(prompt, replies)

    assert scores == pytest.approx(np.array([one.log_q for one in replies]), abs=1e-3)


def test_an_adapter_is_another_model_on_the_same_tokenizer(engine: Engine) -> None:
    one, other = engine.adapter("ovennest"), engine.adapter("crumbworks")

    assert one.identity.name == f"vllm:hf at temperature {bundled.TEMPERATURE:g}+ovennest"
    assert len({scorer.identity.model_sha256 for scorer in (engine, one, other)}) == 3
    assert one.identity.tokenizer_sha256 == engine.identity.tokenizer_sha256
    assert one.limits == engine.limits
    assert one.encode(QUESTION) == engine.encode(QUESTION)


def test_an_unknown_adapter_is_refused(engine: Engine) -> None:
    with pytest.raises(SettingsError, match=r"no LoRA adapter 'nobody'.*crumbworks, ovennest"):
        engine.adapter("nobody")


async def test_too_few_adapter_slots_are_found_at_the_start(
    adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With as many slots as adapters, a CPU's vLLM scores replies without an adapter as if they had one."""
    bundled.need_vllm()
    from workers.engines.vllm_local import open as opening

    def one_too_few(given: Any) -> dict[str, Any]:
        return correct(given) | {"max_loras": len(given)}

    correct = opening.lora_arguments
    monkeypatch.setattr(opening, "lora_arguments", one_too_few)

    with pytest.raises(EngineGone, match="mixes up LoRA adapters"):
        await open_engine(bundled.VLLM, options(adapters))


@pytest.mark.parametrize("module", ["lm_head", "model.embed_tokens"])
async def test_adapters_of_the_head_or_the_embeddings_are_refused(tmp_path: Path, module: str) -> None:
    folder = write_adapter(tmp_path / "head", 1, (*ATTENTION, module))

    with pytest.raises(SettingsError, match=rf"'head' changes base_model\.model\.{module}\.lora_A"):
        await open_engine(bundled.VLLM, options({"head": folder}))


async def test_adapters_that_replace_whole_modules_are_refused(tmp_path: Path) -> None:
    """`modules_to_save`: no low-rank change, but a copy."""
    import torch
    from safetensors.torch import save_file

    folder = write_adapter(tmp_path / "whole", 1)
    save_file({"base_model.model.model.norm.weight": torch.ones(192)}, folder / "adapter_model.safetensors")

    with pytest.raises(SettingsError, match=r"changes base_model\.model\.model\.norm\.weight"):
        await open_engine(bundled.VLLM, options({"whole": folder}))


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors"])
async def test_a_missing_file_is_named(tmp_path: Path, file: str) -> None:
    folder = write_adapter(tmp_path / "half", 1)
    (folder / file).unlink()

    with pytest.raises(SettingsError, match=f"the adapter 'half' has no .*{file}"):
        await open_engine(bundled.VLLM, options({"half": folder}))


async def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0not json")
    write_config(tmp_path, ["q_proj"])

    with pytest.raises(SettingsError, match=r"adapter_model\.safetensors that cannot be read"):
        await open_engine(bundled.VLLM, options({"broken": tmp_path}))


async def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    """vLLM would take matrices that are smaller than the model's, and score with them."""
    folder = write_adapter(tmp_path / "stranger", 1, width=96)

    with pytest.raises(
        SettingsError, match=r"'stranger' belongs to another model: .*q_proj\.lora_A\.weight is \(8, 96\)"
    ):
        await open_engine(bundled.VLLM, options({"stranger": folder}))


@pytest.mark.parametrize(
    "modules",
    [
        (*ATTENTION, f"model.layers.{LAYERS}.self_attn.q_proj"),
        tuple(f"model.layers.{layer}.self_attn.q_proj" for layer in range(10, 14)),
        tuple(f"model.language_model.layers.{layer}.self_attn.q_proj" for layer in range(4)),
    ],
)
async def test_modules_that_the_model_does_not_have_are_refused(tmp_path: Path, modules: tuple[str, ...]) -> None:
    """Some or all: vLLM would ignore them."""
    folder = write_adapter(tmp_path / "stranger", 1, modules)

    with pytest.raises(SettingsError, match=r"'stranger' belongs to another model: .*q_proj"):
        await open_engine(bundled.VLLM, options({"stranger": folder}))


async def test_adapters_of_a_model_whose_sizes_cannot_be_read_are_refused(
    tmp_path: Path, adapters: dict[str, Path]
) -> None:
    """Weights as pickles: an adapter for layers that the model does not have would score as if it had them."""
    import torch
    from safetensors.torch import load_file

    weights = Path(shutil.copytree(bundled.FOLDER, tmp_path / "model")) / "model.safetensors"
    torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    weights.unlink()

    with pytest.raises(SettingsError, match="'crumbworks' cannot be compared with the model"):
        await open_engine(f"vllm:{weights.parent}", options(adapters))


async def test_an_adapter_that_computes_no_number_is_named(tmp_path: Path, adapters: dict[str, Path]) -> None:
    """One damaged weight, and no worker could start: the message has to say whose."""
    from safetensors.torch import load_file, save_file

    weights = write_adapter(tmp_path / "damaged", 1) / "adapter_model.safetensors"
    tensors = load_file(weights)
    tensors[next(name for name in tensors if ".lora_B." in name)][0, 0] = float("nan")
    save_file(tensors, weights)

    with pytest.raises(SettingsError, match=r"TESSERA_VLLM_ADAPTERS: .*'damaged' cannot score .*not a number"):
        await open_engine(bundled.VLLM, options({**adapters, "damaged": weights.parent}))


async def test_an_adapter_that_changes_nothing_is_refused(tmp_path: Path, adapters: dict[str, Path]) -> None:
    """Never trained: the second factor is 0."""
    from safetensors.torch import load_file, save_file

    weights = write_adapter(tmp_path / "idle", 1) / "adapter_model.safetensors"
    save_file({name: one * (".lora_A." in name) for name, one in load_file(weights).items()}, weights)

    with pytest.raises(SettingsError, match="'idle' changes nothing"):
        await open_engine(bundled.VLLM, options({**adapters, "idle": weights.parent}))
