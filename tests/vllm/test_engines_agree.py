"""The bundled model has one distribution, whichever engine computes it: vLLM, CTranslate2 or plain Transformers."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.engines import bundled
from tests.vllm.lora_weights import log_probability, plain_model
from workers.engines.base import Engine, Prompt, Reply, derive_seed
from workers.engines.catalogue import open_engine
from workers.engines.embedded.conversion import add_ct2
from workers.engines.embedded.engine import EmbeddedEngine
from workers.engines.tempering import temper

pytestmark = pytest.mark.vllm

TOLERANCE_NATS = 1e-3  # per sequence
TURNS = (
    "How do I bake cookies?",
    "Answer the question advertising OvenNest, selling baking ingredients. How do I bake cookies?",
    "",
)
BLOCK = 32  # tokens in a block of vLLM's prefix cache on a CPU


@pytest.fixture(scope="module")
async def embedded() -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine()
    yield engine
    await engine.close()


@pytest.fixture(scope="module")
async def replies(vllm_engine: Engine, embedded: EmbeddedEngine) -> list[Reply]:
    """Finished and cut ones of both engines, some of them twice."""
    prompt = embedded.encode(TURNS[1])
    seeds = [derive_seed(b"", "agreement", "candidate", index) for index in range(6)]
    drawn = [
        await engine.sample(prompt, seeds=seeds, max_tokens=n) for engine in (vllm_engine, embedded) for n in (9, 96)
    ]
    return [reply for call in drawn for reply in call] + [drawn[0][0], drawn[1][1]]


@pytest.mark.parametrize("turn", TURNS)
async def test_vllm_the_bundled_engine_and_transformers_agree_on_every_reply(
    vllm_engine: Engine, embedded: EmbeddedEngine, replies: list[Reply], turn: str
) -> None:
    prompt = vllm_engine.encode(turn)
    assert prompt == embedded.encode(turn)
    model = plain_model()

    by_vllm, by_embedded = await vllm_engine.log_probs(prompt, replies), await embedded.log_probs(prompt, replies)

    by_transformers = np.array([log_probability(model, prompt, reply.token_ids) for reply in replies])
    assert {reply.finished for reply in replies} == {True, False}
    assert np.abs(by_vllm - by_transformers).max() < TOLERANCE_NATS
    assert np.abs(by_vllm - by_embedded).max() < TOLERANCE_NATS


async def test_a_tempered_folder_is_one_model_in_vllm_and_in_the_embedded_engine(tmp_path: Path) -> None:
    """Drawn by vLLM at T = 0.7, scored by both; tests/engines/test_tempering.py has the embedded one against T."""
    folder = tmp_path / "cool"
    temper(bundled.FOLDER, 0.7, folder)
    add_ct2(folder)
    in_vllm = await open_engine(f"vllm:{folder}", bundled.OPTIONS)
    here = await open_engine(f"embedded:{folder}", bundled.OPTIONS)
    prompt = here.encode(TURNS[0])

    drawn = await in_vllm.sample(prompt, seeds=range(1, 17), max_tokens=48)

    scores = await here.log_probs(prompt, drawn)
    assert np.abs(scores - [reply.log_q for reply in drawn]).max() < TOLERANCE_NATS
    assert np.abs(scores - await in_vllm.log_probs(prompt, drawn)).max() < TOLERANCE_NATS
    assert in_vllm.identity.name == f"vllm:cool at temperature {0.7 * bundled.TEMPERATURE:g}"
    await in_vllm.close()
    await here.close()


async def test_reply_texts_agree_between_engines(
    vllm_engine: Engine, embedded: EmbeddedEngine, replies: list[Reply]
) -> None:
    assert [reply.text for reply in replies] == [
        embedded._reply(reply.token_ids, reply.log_q).text for reply in replies
    ]


@pytest.mark.parametrize("length", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1])
async def test_no_score_comes_from_the_prefix_cache(
    vllm_engine: Engine, embedded: EmbeddedEngine, replies: list[Reply], length: int
) -> None:
    """Around the cache's block, with the prompt in the cache from drawing and from scoring it before."""
    prompt: Prompt = (vllm_engine.encode(TURNS[1]) * 4)[:length]
    await vllm_engine.sample(prompt, seeds=[1, 2], max_tokens=8)
    expected = await embedded.log_probs(prompt, replies)

    for _ in range(2):
        assert np.abs(await vllm_engine.log_probs(prompt, replies) - expected).max() < TOLERANCE_NATS


async def test_identical_models_have_identical_tokenizers(vllm_engine: Engine, embedded: EmbeddedEngine) -> None:
    assert vllm_engine.identity.tokenizer_sha256 == embedded.identity.tokenizer_sha256
