"""A real vLLM server as engine: it agrees with the bundled model, dies and comes back, and stops when nobody waits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from tests.support.vllm_server import ADAPTER, VllmServer
from tests.vllm.lora_weights import log_probability, merged_model, plain_model
from workers.engines.base import Engine, Prompt, Reply, derive_seed
from workers.engines.catalogue import open_engine
from workers.engines.embedded.engine import EmbeddedEngine
from workers.engines.openai_http import breaker
from workers.engines.openai_http.completions import PATH, sampling_body
from workers.errors import EngineGone, EngineRejected, EngineTimeout, EngineUnavailable, RetriesExhausted, SettingsError

pytestmark = pytest.mark.vllm

TOLERANCE_NATS = 1e-3  # per sequence
QUESTION = "How do I bake cookies?"
LONG = 400  # tokens; most replies end before
MANY = 400  # replies: seconds of work
SOON_S = 5.0


def seeds(auction: str, count: int) -> list[int]:
    return [derive_seed(b"", auction, "candidate", index) for index in range(count)]


@asynccontextmanager
async def opened(server: VllmServer) -> AsyncIterator[Engine]:
    engine = await open_engine(server.name, server.options)
    try:
        yield engine
    finally:
        await engine.close()


async def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    async with asyncio.timeout(limit_s):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.02)


async def test_the_server_agrees_with_the_bundled_model_and_with_transformers(http_engine: Engine) -> None:
    embedded = EmbeddedEngine()
    prompt = http_engine.encode(QUESTION)
    assert prompt == embedded.encode(QUESTION)
    replies = [
        reply
        for engine in (http_engine, embedded)
        for length in (9, 96)
        for reply in await engine.sample(prompt, seeds=seeds("agreement", 6), max_tokens=length)
    ]
    model = plain_model()

    for turn in (QUESTION, "Answer the query. Try to mention EasyBake. How do I bake cookies?"):
        ids = http_engine.encode(turn)
        by_http, by_embedded = await http_engine.log_probs(ids, replies), await embedded.log_probs(ids, replies)
        by_transformers = np.array([log_probability(model, ids, reply.token_ids) for reply in replies])
        assert np.abs(by_http - by_embedded).max() < TOLERANCE_NATS
        assert np.abs(by_http - by_transformers).max() < TOLERANCE_NATS
    await embedded.close()


async def test_the_server_draws_what_the_engine_in_this_process_draws(http_engine: Engine, vllm_engine: Engine) -> None:
    prompt, drawn = http_engine.encode(QUESTION), seeds("same", 12)

    by_http, by_vllm = [
        await engine.sample(prompt, seeds=drawn, max_tokens=60) for engine in (http_engine, vllm_engine)
    ]

    assert [reply.token_ids for reply in by_http] == [reply.token_ids for reply in by_vllm]
    assert [reply.text for reply in by_http] == [reply.text for reply in by_vllm]
    assert [reply.log_q for reply in by_http] == pytest.approx([reply.log_q for reply in by_vllm], abs=TOLERANCE_NATS)


async def test_an_adapter_scores_as_its_merged_weights_do(http_engine: Engine, vllm_server: VllmServer) -> None:
    prompt = http_engine.encode(QUESTION)
    replies = await http_engine.sample(prompt, seeds=seeds("adapter", 4), max_tokens=12)
    adapter = http_engine.adapter(ADAPTER)

    # at the same time, so that both are in one batch
    adapted, base = await asyncio.gather(adapter.log_probs(prompt, replies), http_engine.log_probs(prompt, replies))

    for model, scores in ((merged_model(vllm_server.adapter_folder), adapted), (plain_model(), base)):
        expected = [log_probability(model, prompt, reply.token_ids) for reply in replies]
        assert scores == pytest.approx(np.array(expected), abs=TOLERANCE_NATS)
    assert (np.abs(adapted - base) > 0.1).all()
    with pytest.raises(SettingsError, match=f"serves no adapter 'unknown'.*{ADAPTER}"):
        http_engine.adapter("unknown")


async def test_an_unknown_model_lists_those_there_are(vllm_server: VllmServer) -> None:
    with pytest.raises(SettingsError, match=f"{ADAPTER}, base"):
        await open_engine(f"{vllm_server.url}#unknown", vllm_server.options)


async def test_a_cancelled_call_frees_the_servers_requests(http_engine: Engine, vllm_server: VllmServer) -> None:
    prompt = http_engine.encode(QUESTION)
    call = asyncio.create_task(http_engine.sample(prompt, seeds=seeds("abort", MANY), max_tokens=LONG))
    await until(lambda: vllm_server.available() > 20)

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: vllm_server.available() == 0)
    assert len(await http_engine.sample(prompt, seeds=seeds("abort", 2), max_tokens=5)) == 2


async def test_a_deadline_frees_the_servers_requests(vllm_server: VllmServer) -> None:
    async with opened(vllm_server) as engine:
        engine.wrapped._client._timeout_s = 0.05  # type: ignore[attr-defined]  # opening takes longer

        with pytest.raises((EngineTimeout, EngineUnavailable, RetriesExhausted)):
            await engine.sample(engine.encode(QUESTION), seeds=seeds("late", 40), max_tokens=LONG)

        await until(lambda: vllm_server.available() == 0)


async def test_every_field_of_the_body_is_one_that_the_server_reads() -> None:
    """It takes any others without a word."""
    from vllm.entrypoints.openai.completion.protocol import CompletionRequest

    body = sampling_body("base", (1, 3, 4), 5, 2**63 - 1)

    assert PATH == "/v1/completions"
    assert set(body) <= set(CompletionRequest.model_fields)
    params = CompletionRequest(**body).to_sampling_params(5, {"temperature": 0.3, "top_k": 7, "repetition_penalty": 2})
    assert (params.temperature, params.top_p, params.top_k, params.min_p, params.n) == (1.0, 1.0, 0, 0.0, 1)
    assert (params.repetition_penalty, params.presence_penalty, params.frequency_penalty) == (1.0, 0.0, 0.0)
    assert (params.seed, params.logprobs, params.max_tokens) == (2**63 - 1, 0, 5)
    assert not (params.stop or params.stop_token_ids or params.logit_bias or params.bad_words or params.min_tokens)


async def test_a_killed_server_is_unavailable_soon_and_works_when_it_is_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # Given a server that is at work
    with VllmServer(tmp_path_factory.mktemp("killed")) as server:
        async with opened(server) as engine:
            prompt, drawn = engine.encode(QUESTION), seeds("kill", 20)
            before = await engine.sample(prompt, seeds=drawn, max_tokens=60)
            call = asyncio.create_task(engine.sample(prompt, seeds=seeds("kill", MANY), max_tokens=LONG))
            await until(lambda: server.available() > 5)
            # When it is killed
            server.kill()
            # Then the call fails soon, and so does the next
            for late in (call, engine.log_probs(prompt, before)):
                with pytest.raises(EngineUnavailable):
                    await asyncio.wait_for(late, SOON_S)
            # and when it is back, the same call gives the same
            await asyncio.to_thread(server.start)
            assert await answered(engine, prompt, drawn) == before


async def answered(engine: Engine, prompt: Prompt, drawn: list[int]) -> tuple[Reply, ...]:
    """Asked as a stage asks whose engine is down: again and again."""
    async with asyncio.timeout(60.0):
        while True:
            try:
                return await engine.sample(prompt, seeds=drawn, max_tokens=60)
            except EngineUnavailable:
                await asyncio.sleep(0.2)


async def test_a_server_that_hangs_is_found_to_be_down_though_deadlines_end_before_time_outs(
    vllm_server: VllmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a server that takes connections and does nothing
    monkeypatch.setattr(breaker, "PATIENCE_S", 0.5)
    async with opened(vllm_server) as engine:
        prompt, drawn = engine.encode(QUESTION), seeds("hang", 20)
        before = await engine.sample(prompt, seeds=drawn, max_tokens=60)
        with vllm_server.hanging():
            # When its callers give up, one after the other
            for _ in range(breaker.FAILURES):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await engine.sample(prompt, seeds=drawn, max_tokens=60)
            # Then the next is told at once
            with pytest.raises(EngineUnavailable, match="no answer to anybody"):
                async with asyncio.timeout(1.0):
                    await engine.sample(prompt, seeds=drawn, max_tokens=60)
        # and when it goes on, it is the same server
        assert await answered(engine, prompt, drawn) == before


async def test_a_server_that_was_started_again_as_another_is_gone(tmp_path_factory: pytest.TempPathFactory) -> None:
    with VllmServer(tmp_path_factory.mktemp("another")) as server:
        async with opened(server) as engine:
            prompt, drawn = engine.encode(QUESTION), seeds("another", 4)
            await engine.sample(prompt, seeds=drawn, max_tokens=8)
            server.kill()
            await asyncio.to_thread(server.start, "--max-model-len", "256")

            # its next answer, and not one of the long records that it refuses from now on
            with pytest.raises(EngineGone, match=r"max_model_len=512.*became.*max_model_len=256"):
                await answered(engine, prompt, drawn)
            with pytest.raises(EngineGone):
                await engine.log_probs(prompt, [Reply((8,) * 300, "", 0.0, False)])


async def test_a_prompt_beyond_the_models_length_never_leaves(http_engine: Engine) -> None:
    reply = Reply((5,) * 600, "", 0.0, False)

    with pytest.raises(EngineRejected):
        await http_engine.log_probs(http_engine.encode(QUESTION), [reply])


async def test_a_model_that_it_does_not_serve_is_no_inputs_fault(vllm_server: VllmServer) -> None:
    async with opened(vllm_server) as engine:
        engine.wrapped._name = "renamed"  # type: ignore[attr-defined]

        with pytest.raises(EngineUnavailable, match=r"404.*renamed.*--served-model-name"):
            await engine.log_probs(engine.encode(QUESTION), [Reply((8, 9), "", 0.0, False)])


async def test_the_longest_answers_are_within_what_is_read(
    http_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an eighth of what is read around them: vLLM writes less than 256 bytes for each token."""
    monkeypatch.setattr("workers.engines.openai_http.response.BYTES_BESIDE", 8 << 10)
    prompt = http_engine.encode(QUESTION)
    length = http_engine.limits.context - len(prompt)
    replies = await http_engine.sample(prompt, seeds=seeds("long", 4), max_tokens=length)
    longest = Reply(tuple(5 + 7 * place % 2_000 for place in range(length)), "", 0.0, False)

    assert np.isfinite(await http_engine.log_probs(prompt, [*replies, longest])).all()
