"""A tempered model is the model decoded at T, to the last digits; what cannot be tempered or imported is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workers.engines.base import derive_seed
from workers.engines.catalogue import open_engine
from workers.engines.embedded.conversion import add_ct2, import_folder
from workers.engines.embedded.engine import MODEL, EmbeddedEngine
from workers.engines.model_folder import ModelFolder
from workers.engines.options import EngineOptions
from workers.engines.safetensors_file import read_header
from workers.engines.tempering import NORM, temper
from workers.errors import SettingsError

SOURCE = MODEL / "hf"
WEIGHTS = "model.safetensors"


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


@pytest.mark.parametrize("temperature", [0.7, 1.0])
async def test_log_probs_of_a_tempered_model_are_those_of_the_logits_divided_by_t(
    tmp_path: Path, temperature: float
) -> None:
    # Given the bundled model's own logits, and the model tempered and imported again
    plain = EmbeddedEngine(threads=1)
    temper(SOURCE, temperature, tmp_path / "tempered")
    add_ct2(tmp_path / "tempered")
    tempered = await open_engine(f"embedded:{tmp_path / 'tempered'}", EngineOptions())
    # When replies are drawn from it and scored
    prompt = tempered.encode("How do I bake cookies?")
    seeds = [derive_seed(b"", "tempered", "candidate", index) for index in range(16)]
    replies = await tempered.sample(prompt, seeds=seeds, max_tokens=40)
    scores = await tempered.log_probs(prompt, replies)
    # Then each score is the sum of log-softmax(logits / T) over the reply's tokens
    for reply, score in zip(replies, scores, strict=True):
        logits = np.asarray(plain._scorer.forward_batch([[*prompt, *reply.token_ids]], return_log_probs=False))[0]
        rows = log_softmax(logits[len(prompt) - 1 : -1].astype(np.float64) / temperature)
        expected = rows[np.arange(len(reply.token_ids)), reply.token_ids].sum()
        assert score == pytest.approx(expected, abs=1e-4)
        assert reply.log_q == pytest.approx(expected, abs=1e-4)
    await tempered.close()
    await plain.close()


async def test_the_identity_names_the_temperature_and_other_weights(tmp_path: Path) -> None:
    temper(SOURCE, 0.8, tmp_path / "cool")
    temper(tmp_path / "cool", 0.5, tmp_path / "cold")
    import_folder(tmp_path / "cold", tmp_path / "here")

    engine = await open_engine(f"embedded:{tmp_path / 'here'}", EngineOptions())

    assert engine.identity.name == f"embedded:here at temperature {0.4 * ModelFolder(SOURCE).temperature:g}"
    plain = EmbeddedEngine(threads=1)
    assert engine.identity.model_sha256 != plain.identity.model_sha256
    assert engine.identity.tokenizer_sha256 == plain.identity.tokenizer_sha256
    await engine.close()
    await plain.close()


def test_only_the_norm_changes(tmp_path: Path) -> None:
    temper(SOURCE, 0.7, tmp_path / "tempered")

    before, after = ModelFolder(SOURCE), ModelFolder(tmp_path / "tempered")
    assert after.files.keys() == before.files.keys()
    for name in before.files:
        assert (after.tensor(name) == before.tensor(name) / np.float32(0.7 if name == NORM else 1)).all()
    assert read_header(tmp_path / "tempered" / WEIGHTS)[NORM].dtype == "F32"


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the bundled model with other settings."""

    def change(**settings: Any) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(SOURCE, folder)
        config = json.loads((folder / "config.json").read_text()) | settings
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return change


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"architectures": ["Gemma2ForCausalLM"], "final_logit_softcapping": 30.0}, "caps its logits"),
        ({"architectures": ["GemmaForCausalLM"]}, "architecture GemmaForCausalLM"),
        ({"architectures": None}, "architecture none"),
        ({"tessera_temperature": 0}, "no temperature"),
    ],
)
def test_a_model_that_no_division_of_the_norm_tempers_is_refused(
    tmp_path: Path, changed: Callable[..., Path], settings: dict[str, Any], why: str
) -> None:
    with pytest.raises(SettingsError, match=why):
        temper(changed(**settings), 0.7, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_head_with_a_bias_is_refused(tmp_path: Path, changed: Callable[..., Path]) -> None:
    folder = changed()
    header = json.dumps({"lm_head.bias": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "head.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))

    with pytest.raises(SettingsError, match=r"lm_head\.bias"):
        temper(folder, 0.7, tmp_path / "out")


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf"), 100.0])
def test_what_is_no_temperature_is_refused(tmp_path: Path, temperature: float) -> None:
    with pytest.raises(SettingsError, match="temperature"):
        temper(SOURCE, temperature, tmp_path / "out")


@pytest.mark.parametrize("size", [0, 4, 2_000, 100_000])
def test_weights_that_were_copied_in_part_are_refused(tmp_path: Path, changed: Callable[..., Path], size: int) -> None:
    folder = changed()
    (folder / WEIGHTS).write_bytes((SOURCE / WEIGHTS).read_bytes()[:size])

    with pytest.raises(SettingsError, match="not a whole safetensors file"):
        temper(folder, 0.7, tmp_path / "out")


def test_a_folder_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    for write in (lambda out: temper(SOURCE, 0.7, out), lambda out: import_folder(SOURCE, out)):
        with pytest.raises(SettingsError, match="there already"):
            write(tmp_path)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"architectures": ["Qwen2ForCausalLM"]}, "Qwen2ForCausalLM"),
        ({"attention_bias": True}, "attention_bias"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1.0}}, "scaled rotary positions"),
        ({"quantization_config": {"quant_method": "awq"}}, "quantised"),
    ],
)
def test_a_model_that_the_embedded_engine_would_compute_otherwise_is_not_imported(
    tmp_path: Path, changed: Callable[..., Path], settings: dict[str, Any], why: str
) -> None:
    with pytest.raises(SettingsError, match=why):
        import_folder(changed(**settings), tmp_path / "out")


def test_a_model_without_a_chat_template_is_not_imported(tmp_path: Path, changed: Callable[..., Path]) -> None:
    folder = changed()
    (folder / "chat_template.jinja").unlink()

    with pytest.raises(SettingsError, match="no chat template"):
        import_folder(folder, tmp_path / "out")


async def test_a_folder_that_was_not_imported_is_refused_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="tessera model import"):
        await open_engine(f"embedded:{tmp_path}", EngineOptions())
