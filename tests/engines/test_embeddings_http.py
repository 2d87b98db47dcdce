"""Embeddings over HTTP: asked for by token ids, checked number by number; each failure has its type."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from tests.support.vllm_stand_in import TOKENIZER, Behaviour, Connection, Request, StandIn, answer, refusal, standing_in
from workers.engines.base import Embedder, Reply
from workers.engines.embedders import open_embedder
from workers.engines.openai_http import client as client_module
from workers.engines.openai_http.embeddings import PATH, REPLIES
from workers.engines.options import EngineOptions, HttpOptions
from workers.errors import (
    EngineError,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    RetriesExhausted,
    SettingsError,
)

DIMENSIONS = 4
TIMEOUT_S = 2.0  # of one request
BOUND_S = 30.0  # of every call here, on a machine that does other work too
PROMPT = (5, 6, 7)
SOME = [Reply((8, 9), "", 0.0, False), Reply((10,), "", 0.0, True), Reply((8, 9), "", 0.0, False)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAUSES_S", (0.01, 0.02))
    monkeypatch.setattr("workers.engines.calls.PAUSES_S", (0.0,))


def place(ids: list[int]) -> list[float]:
    """Where the stand-in puts a text."""
    return [len(ids) + 0.5, float(sum(ids)), -float(ids[-1]), 1.0]


def vectors(spoil: Callable[[list[Any]], Any] = lambda entries: None) -> Behaviour:
    """The right answer, its entries changed by `spoil`; out of order, as the protocol allows."""

    async def behave(request: Request, _: Connection) -> bytes:
        assert (request.body["model"], request.body["encoding_format"]) == ("base", "float")
        entries = [{"index": i, "embedding": place(ids)} for i, ids in enumerate(request.body["input"])]
        spoil(entries)
        return answer(200, json.dumps({"data": entries[::-1]}).encode())

    return behave


def always(data: bytes) -> Behaviour:
    async def behave(_: Request, __: Connection) -> bytes:
        return data

    return behave


@pytest.fixture
async def server() -> StandIn:
    stand_in = StandIn()
    stand_in.behaviours[PATH] = vectors()
    return stand_in


Opened = Callable[..., Awaitable[Embedder]]


@asynccontextmanager
async def opened(server: StandIn, model: str = "#base", **http: Any) -> AsyncIterator[Embedder]:
    options = HttpOptions(**{"tokenizer": str(TOKENIZER), "concurrency": 2} | http)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(standing_in(server))
        async with asyncio.timeout(BOUND_S):
            embedder = await open_embedder(url + model, EngineOptions(timeout_s=TIMEOUT_S, http=options))
        stack.push_async_callback(embedder.close)
        yield embedder


async def test_embeddings_have_one_row_for_each_reply_in_order(server: StandIn) -> None:
    async with opened(server) as embedder:
        rows = await embedder.embed(PROMPT, SOME)
        none = await embedder.embed(PROMPT, [])

    assert embedder.dimensions == DIMENSIONS
    assert rows.tolist() == [place([*PROMPT, *reply.token_ids]) for reply in SOME]
    assert none.shape == (0, DIMENSIONS)


async def test_many_replies_are_embedded_in_several_requests(server: StandIn) -> None:
    many = [Reply((8 + index,), "", 0.0, False) for index in range(2 * REPLIES + 1)]
    async with opened(server) as embedder:
        before = server.seen(PATH)
        rows = await embedder.embed(PROMPT, many)

        assert server.seen(PATH) - before == 3
    assert rows.tolist() == [place([*PROMPT, *reply.token_ids]) for reply in many]


async def test_the_embedders_identity_is_the_servers_model_with_the_local_tokenizer(server: StandIn) -> None:
    async with opened(server) as embedder:
        assert embedder.identity.tokenizer_sha256 == sha256((TOKENIZER / "tokenizer.json").read_bytes()).hexdigest()
        assert embedder.encode("How?") == server.framing.encode("How?")


# Refused at the start

NO_EMBEDDINGS: dict[str, Behaviour] = {
    "a server that completes only": always(answer(404, {"detail": "Not Found"})),
    "another document": always(answer(200, {"choices": []})),
    "no dimensions": vectors(lambda entries: [entry.update(embedding=[]) for entry in entries]),
    "a number for a vector": vectors(lambda entries: [entry.update(embedding=1.0) for entry in entries]),
    "base64": vectors(lambda entries: [entry.update(embedding="AAAA") for entry in entries]),
    "a wrong key": always(refusal(401, "no")),
}


@pytest.mark.parametrize("behaviour", NO_EMBEDDINGS.values(), ids=NO_EMBEDDINGS)
async def test_a_server_without_embeddings_is_refused(server: StandIn, behaviour: Behaviour) -> None:
    server.behaviours[PATH] = behaviour
    with pytest.raises(SettingsError, match="gives no embeddings of token ids: "):
        async with opened(server):
            pass


async def test_an_unknown_model_is_refused(server: StandIn) -> None:
    with pytest.raises(SettingsError, match="has no model 'other'; the server's models: base"):
        async with opened(server, "#other"):
            pass


async def test_another_tokenizer_is_refused(server: StandIn) -> None:
    server.behaviours["/tokenize"] = always(answer(200, {"tokens": [1, 2, 3]}))
    with pytest.raises(SettingsError, match="is not the tokenizer of 'base'"):
        async with opened(server):
            pass


async def test_a_server_that_is_not_there_is_an_engine_that_is_down() -> None:
    with pytest.raises(EngineUnavailable):
        await open_embedder("http://127.0.0.1:1#base", EngineOptions(http=HttpOptions(tokenizer=str(TOKENIZER))))


@pytest.mark.parametrize("name", ["vllm:model", "embedded", "", "ftp://127.0.0.1#x"])
async def test_an_engine_without_embeddings_is_refused_and_those_that_have_them_are_named(name: str) -> None:
    with pytest.raises(SettingsError, match="gives embeddings; these do: null, http, https"):
        await open_embedder(name, EngineOptions())


# At work

SPOILS: dict[str, Callable[[list[Any]], Any]] = {
    "NaN": lambda entries: entries[0].update(embedding=[float("nan")] * DIMENSIONS),
    "infinity": lambda entries: entries[0].update(embedding=[float("inf")] * DIMENSIONS),
    "fewer dimensions": lambda entries: entries[0].update(embedding=[1.0]),
    "more dimensions": lambda entries: [entry.update(embedding=[1.0] * 9) for entry in entries],
    "text": lambda entries: entries[0].update(embedding=["one"] * DIMENSIONS),
    "null": lambda entries: entries[0].update(embedding=None),
    "no vector": lambda entries: entries[0].pop("embedding"),
    "one fewer": lambda entries: entries.pop(),
    "one more": lambda entries: entries.append({"index": len(entries), "embedding": [1.0] * DIMENSIONS}),
    "one twice": lambda entries: entries[1].update(index=0),
    "an index that is none": lambda entries: entries[0].update(index="first"),
    "a list for an entry": lambda entries: entries.__setitem__(0, []),
    "a number of 400 digits": lambda entries: entries[0].update(embedding=[10**400] * DIMENSIONS),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
async def test_an_impossible_response_never_becomes_a_number(
    server: StandIn, spoil: Callable[[list[Any]], Any]
) -> None:
    async with opened(server) as embedder:
        server.behaviours[PATH] = vectors(spoil)
        with pytest.raises(EngineUnavailable):
            await embedder.embed(PROMPT, SOME)


async def silence(_: Request, connection: Connection) -> None:
    await connection.closed_by_client()


FAILURES: dict[str, tuple[Behaviour, type[EngineError] | tuple[type[EngineError], ...]]] = {
    "the input is at fault": (always(refusal(400, "Token id 9 is out of vocabulary")), EngineRejected),
    "it fails": (always(refusal(500, "EngineCore died")), EngineUnavailable),
    "it has too much to do": (always(refusal(429, "later")), EngineUnavailable),
    "no JSON": (always(answer(200, b"<html>")), EngineUnavailable),
    "it says nothing": (silence, (EngineTimeout, RetriesExhausted, EngineUnavailable)),
}


@pytest.mark.parametrize(("behaviour", "error"), FAILURES.values(), ids=FAILURES)
async def test_every_kind_of_failure_raises_its_own_error_in_time(
    server: StandIn, behaviour: Behaviour, error: Any
) -> None:
    async with opened(server) as embedder:
        server.behaviours[PATH] = behaviour
        async with asyncio.timeout(BOUND_S):
            with pytest.raises(error):
                await embedder.embed(PROMPT, SOME)


@pytest.mark.parametrize("reply", [(), (2**70,), (-1,), (4096,), tuple([8] * 600)])
async def test_a_prompt_that_does_not_fit_is_refused_before_it_is_sent(server: StandIn, reply: tuple[int, ...]) -> None:
    async with opened(server) as embedder:
        before = server.seen(PATH)
        with pytest.raises(EngineRejected):
            await embedder.embed(PROMPT, [Reply(reply, "", 0.0, False)])

        assert server.seen(PATH) == before


async def test_the_null_engine_embeds_each_reply_by_itself() -> None:
    embedder = await open_embedder("null", EngineOptions())

    rows = await embedder.embed(PROMPT, SOME)

    assert rows.shape == (3, embedder.dimensions) and np.isfinite(rows).all()
    assert (rows[0] == rows[2]).all() and (rows[0] != rows[1]).any()
    assert (await embedder.embed(PROMPT, SOME[1:2]) == rows[1:2]).all()
    assert (await embedder.embed((5, 6), SOME[:1]) != rows[:1]).any()
    await embedder.close()


async def test_a_response_longer_than_its_numbers_can_be_is_not_read(server: StandIn) -> None:
    async with opened(server) as embedder:
        server.behaviours[PATH] = vectors(lambda entries: entries[0].update(padding=" " * (65 << 10)))
        with pytest.raises(EngineUnavailable, match="more than"):
            await embedder.embed(PROMPT, SOME)
