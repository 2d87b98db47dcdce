"""A model that is not there, or that vLLM cannot run, is a settings error that says what to do."""

import asyncio
import shutil
import threading
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from tests.engines import bundled
from workers.engines.base import Engine
from workers.engines.catalogue import open_engine
from workers.errors import SettingsError

pytestmark = pytest.mark.vllm
SLOW_S = 60.0


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The bundled model in a folder that a test may spoil."""
    return Path(shutil.copytree(bundled.FOLDER, tmp_path / "model"))


async def test_an_engine_name_without_a_model_is_refused() -> None:
    with pytest.raises(SettingsError, match="vllm:FOLDER"):
        await open_engine("vllm:", bundled.OPTIONS)


async def test_a_missing_model_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no folder"):
        await open_engine(f"vllm:{tmp_path / 'absent'}", bundled.OPTIONS)


async def test_a_model_name_unknown_to_the_hub_is_refused() -> None:
    """The tests have no hub: HF_HUB_OFFLINE is set."""
    with pytest.raises(SettingsError, match="neither a folder here nor a model"):
        await open_engine(f"vllm:tessera/absent@{40 * '0'}", bundled.OPTIONS)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("config.json", "is not a model: it has no config.json"),
        ("model.safetensors", "is not a model: it has no weights"),
        ("tokenizer.json", "a tokenizer folder has tokenizer.json"),
        ("chat_template.jinja", "has no chat template"),
    ],
)
async def test_a_missing_file_is_named_before_vllm_starts(copied: Path, file: str, said: str) -> None:
    (copied / file).unlink()

    with pytest.raises(SettingsError, match=said):
        await open_engine(f"vllm:{copied}", bundled.OPTIONS)


async def test_a_refusal_of_vllm_is_quoted() -> None:
    too_long = replace(bundled.OPTIONS, vllm=replace(bundled.OPTIONS.vllm, max_model_len=100_000))

    with pytest.raises(SettingsError, match=r"hf with these settings: .*max_model_len \(100000\) is greater"):
        await open_engine(bundled.VLLM, too_long)


async def test_a_vllm_for_gpus_without_one_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    bundled.need_vllm()
    from vllm.engine.arg_utils import AsyncEngineArgs

    def without_gpu(_: AsyncEngineArgs) -> None:
        raise RuntimeError("Failed to infer device type")

    monkeypatch.setattr(AsyncEngineArgs, "create_engine_config", without_gpu)
    with pytest.raises(SettingsError, match=r"Failed to infer device type.*infra/bootstrap\.py vllm"):
        await open_engine(bundled.VLLM, bundled.OPTIONS)


def test_a_wrong_setting_ends_at_once_though_the_digest_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is it begun, nor does the end of the event loop wait for it."""
    bundled.need_vllm()
    from workers.engines.vllm_local import open as opening

    release, began = threading.Event(), time.monotonic()
    monkeypatch.setattr(opening, "weights_sha256", lambda _: release.wait(SLOW_S))
    wrong = replace(bundled.OPTIONS, vllm=replace(bundled.OPTIONS.vllm, quantization="nosuch"))

    with pytest.raises(SettingsError, match="with these settings"):
        asyncio.run(open_engine(bundled.VLLM, wrong))

    assert time.monotonic() - began < SLOW_S / 2
    assert not any(thread.name == "background" for thread in threading.enumerate())
    release.set()


async def test_an_auction_larger_than_vllms_queue_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only slower: vLLM refuses what is too much, as if it were down."""
    bundled.need_vllm()
    from workers.engines.vllm_local import open as opening

    monkeypatch.setattr(opening, "QUEUED_PER_SEQUENCE", 2)
    engine = await open_engine(
        bundled.VLLM, replace(bundled.OPTIONS, vllm=replace(bundled.OPTIONS.vllm, max_num_seqs=4))
    )
    prompt, seeds = engine.encode("How do I bake cookies?"), range(1, 41)

    replies = await engine.sample(prompt, seeds=seeds, max_tokens=8)
    again, *scores = await asyncio.gather(
        engine.sample(prompt, seeds=seeds, max_tokens=8), *(engine.log_probs(prompt, replies) for _ in range(3))
    )
    await engine.close()

    assert again == replies
    for found in scores:
        assert found == pytest.approx(np.array([one.log_q for one in replies]), abs=1e-3)


def test_the_digest_is_that_of_the_weights(vllm_engine: Engine) -> None:
    """As `sha256sum *.safetensors | sha256sum` in the model's folder."""
    weights = sha256((bundled.FOLDER / "model.safetensors").read_bytes()).hexdigest()

    listing = f"{weights}  model.safetensors\n"
    assert vllm_engine.identity.model_sha256 == sha256(listing.encode()).hexdigest()
    assert vllm_engine.identity.tokenizer_sha256 == sha256((bundled.FOLDER / "tokenizer.json").read_bytes()).hexdigest()
    assert vllm_engine.identity.version.startswith("vllm 0.")
