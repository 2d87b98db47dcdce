"""A server over HTTP that misbehaves: every failure has its type and its end, and none becomes a number."""

import asyncio
import gzip
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import pytest

from tests.support.builders import make_bidder
from tests.support.vllm_stand_in import TOKENIZER, Behaviour, Connection, Request, StandIn, answer, refusal, standing_in
from workers.engines.base import Reply
from workers.engines.calls import Retrying
from workers.engines.lazy import Lazy
from workers.engines.openai_http import client as client_module
from workers.engines.openai_http.breaker import FAILURES, OPEN_S, PATIENCE_S, Breaker, Silent
from workers.engines.openai_http.engine import HttpEngine
from workers.engines.openai_http.open import open_http
from workers.engines.openai_http.response import parsed
from workers.engines.options import EngineOptions, HttpOptions
from workers.errors import EngineGone, EngineRejected, EngineTimeout, EngineUnavailable, OwnModelDown
from workers.rewards.base import Candidates
from workers.rewards.bulkhead import Bulkhead
from workers.rewards.log_ratio import OwnModel

TIMEOUT_S = 5.0  # more than any sound answer takes on a busy machine
SHORT_S = 0.6
BOUND_S = 10.0  # of every call here
COMPLETIONS = "/v1/completions"
MARK = 77  # the token that only the input at fault has
PROMPT = (5, 6, 7)
REPLY = Reply((8, 9), "", 0.0, False)
MARKED = Reply((8, MARK), "", 0.0, False)

Open = Callable[..., Awaitable[HttpEngine]]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAUSES_S", (0.01, 0.02))


@pytest.fixture
async def server() -> StandIn:
    return StandIn()


@pytest.fixture
async def engine(server: StandIn) -> AsyncIterator[HttpEngine]:
    """Opened while the server still behaved."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(standing_in(server))
        http = HttpOptions(tokenizer=str(TOKENIZER), concurrency=4)
        engine = await open_http(f"{url}#base", EngineOptions(timeout_s=TIMEOUT_S, http=http))
        stack.push_async_callback(engine.close)
        yield engine


@pytest.fixture
def hurried(engine: HttpEngine) -> HttpEngine:
    """It gives each request SHORT_S."""
    engine._client._timeout_s = SHORT_S
    return engine


async def scored(engine: HttpEngine, reply: Reply = REPLY) -> float:
    async with asyncio.timeout(BOUND_S):
        return float((await engine.log_probs(PROMPT, [reply]))[0])


def always(data: bytes) -> Behaviour:
    async def behave(_: Request, __: Connection) -> bytes:
        return data

    return behave


def spoilt(server: StandIn, spoil: Callable[[dict[str, Any]], Any], marked_only: bool = False) -> Behaviour:
    """The right choice, changed by `spoil`; or only where the input has MARK."""

    async def behave(request: Request, _: Connection) -> bytes:
        choice = server.choice(request.body)
        if not marked_only or MARK in request.body["prompt"]:
            spoil(choice)
        return answer(200, json.dumps({"choices": [choice]}).encode())

    return behave


def set_row(value: Any) -> Callable[[dict[str, Any]], Any]:
    """The log-probability of the last token."""
    return lambda choice: choice["prompt_logprobs"].__setitem__(-1, value)


def set_last(log_p: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda choice: [row.update(logprob=log_p) for row in choice["prompt_logprobs"][-1].values()]


SPOILS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "NaN": set_last(math.nan),
    "minus infinity": set_last(-math.inf),
    "what vLLM writes for NaN": set_last(-9999.0),
    "above zero": set_last(0.5),
    "text": set_last("-1.0"),
    "true": set_last(True),
    "null": set_last(None),
    "a whole number of 400 digits": set_last(-(10**400)),
    "another token's": set_row({"1": {"logprob": -1.0}}),
    "no row": set_row(None),
    "a number for a row": set_row(-1.0),
    "one row fewer": lambda choice: choice["prompt_logprobs"].pop(),
    "one row more": lambda choice: choice["prompt_logprobs"].append({"8": {"logprob": -1.0}}),
    "no rows": lambda choice: choice.pop("prompt_logprobs"),
    "rows of text": lambda choice: choice.update(prompt_logprobs="abcde"),
}


async def test_a_sound_server_gives_the_summed_log_probabilities(server: StandIn, engine: HttpEngine) -> None:
    scores = await engine.log_probs(PROMPT, [REPLY, MARKED, REPLY])

    expected = [sum(server.log_p("base", one) for one in reply.token_ids) for reply in (REPLY, MARKED, REPLY)]
    assert scores == pytest.approx(np.array(expected))


# Answers that are none


@pytest.mark.parametrize("what", SPOILS)
async def test_an_impossible_response_is_the_servers_fault(server: StandIn, engine: HttpEngine, what: str) -> None:
    server.behaviours[COMPLETIONS] = spoilt(server, SPOILS[what])

    with pytest.raises(EngineUnavailable):
        await scored(engine)


@pytest.mark.parametrize("what", SPOILS)
async def test_an_impossible_response_to_one_input_alone_is_that_inputs_fault(
    server: StandIn, engine: HttpEngine, what: str
) -> None:
    server.behaviours[COMPLETIONS] = spoilt(server, SPOILS[what], marked_only=True)

    with pytest.raises(EngineRejected, match="fails on this input"):
        await scored(engine, MARKED)
    assert await scored(engine) < 0


@pytest.mark.parametrize(
    "data",
    [
        answer(200, b"<html>It works!</html>"),
        answer(200, b""),
        answer(200, b"\xff\xfe\x00"),
        answer(200, b"[" * 100_000),
        answer(200, b'{"choices": ['),
        answer(200, {}),
        answer(200, []),
        answer(200, {"choices": []}),
        answer(200, {"choices": "ab"}),
        answer(200, {"choices": [1]}),
        answer(200, {"choices": [{}, {}]}),
        answer(200, {"error": {"message": "in the body"}}),
        answer(200, b"9" * 10_000),
        answer(204, b""),
    ],
    ids=lambda data: data.partition(b"\r\n\r\n")[2][:20],
)
async def test_a_garbage_response_is_no_answer(server: StandIn, engine: HttpEngine, data: bytes) -> None:
    server.behaviours[COMPLETIONS] = always(data)

    with pytest.raises(EngineUnavailable):
        await scored(engine)
    with pytest.raises(EngineUnavailable):
        await engine.sample(PROMPT, seeds=[1, 2], max_tokens=3)


DRAWN = pytest.mark.parametrize(
    "change",
    [
        {"token_ids": None},
        {"token_ids": [5, 6]},
        {"token_ids": [5, 6, 7, 8]},
        {"token_ids": [5, 6, -1]},
        {"token_ids": [5, 6, 4096]},
        {"token_ids": [5, 6, 7.0]},
        {"token_ids": [5, 6, "7"]},
        {"token_ids": []},
        {"token_ids": "567"},
        {"finish_reason": "abort"},
        {"finish_reason": None},
        {"logprobs": None},
        {"logprobs": {"token_logprobs": None}},
        {"logprobs": {"token_logprobs": [-1.0, -1.0]}},
        {"logprobs": {"token_logprobs": [-1.0, -1.0, math.nan]}},
        {"logprobs": {"token_logprobs": [-1.0, -1.0, 2.0]}},
    ],
    ids=str,
)


def drawing_wrongly(server: StandIn, change: dict[str, Any], wrong: Callable[[Request], bool]) -> Behaviour:
    """Where `wrong`, drawn replies have the change; scored ones are as they should be."""

    async def behave(request: Request, _: Connection) -> bytes:
        choice = server.choice(request.body)
        return answer(200, {"choices": [choice | change if "seed" in request.body and wrong(request) else choice]})

    return behave


@DRAWN
async def test_a_server_that_never_draws_a_complete_reply_is_down(
    server: StandIn, engine: HttpEngine, change: dict[str, Any]
) -> None:
    """A server that draws for nobody is down, though it scores: an older vLLM, or a proxy that strips token_ids."""
    server.behaviours[COMPLETIONS] = drawing_wrongly(server, change, lambda request: True)

    with pytest.raises(EngineUnavailable):
        await engine.sample(PROMPT, seeds=[1], max_tokens=3)


@DRAWN
async def test_an_input_that_cannot_be_drawn_for_is_rejected_where_others_can(
    server: StandIn, engine: HttpEngine, change: dict[str, Any]
) -> None:
    server.behaviours[COMPLETIONS] = drawing_wrongly(server, change, lambda request: MARK in request.body["prompt"])

    with pytest.raises(EngineRejected, match="fails on this input"):
        await engine.sample((*PROMPT, MARK), seeds=[1], max_tokens=3)
    assert len(await engine.sample(PROMPT, seeds=[1], max_tokens=3)) == 1


async def test_a_failed_scoring_is_judged_by_a_scoring(server: StandIn, engine: HttpEngine) -> None:
    """A server that draws for nobody any more can say which input it cannot score."""

    async def behave(request: Request, _: Connection) -> bytes:
        fails = "seed" in request.body or MARK in request.body["prompt"]
        return refusal(500, "overflow") if fails else server.completed(request.body)

    server.behaviours[COMPLETIONS] = behave

    with pytest.raises(EngineRejected, match="overflow"):
        await scored(engine, MARKED)


# Statuses


async def test_a_500_for_every_input_is_a_server_that_is_down(server: StandIn, engine: HttpEngine) -> None:
    server.behaviours[COMPLETIONS] = always(refusal(500, "EngineCore encountered an issue"))

    with pytest.raises(EngineUnavailable, match="EngineCore encountered an issue"):
        await scored(engine)


async def test_a_500_for_one_input_is_that_inputs_fault(server: StandIn, engine: HttpEngine) -> None:
    async def behave(request: Request, _: Connection) -> bytes:
        return refusal(500, "overflow") if MARK in request.body["prompt"] else server.completed(request.body)

    server.behaviours[COMPLETIONS] = behave

    with pytest.raises(EngineRejected, match="overflow"):
        await scored(engine, MARKED)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_input_is_rejected_where_others_are_not(
    server: StandIn, engine: HttpEngine, status: int
) -> None:
    before = server.seen(COMPLETIONS)
    server.behaviours[COMPLETIONS] = refusing(server, status, lambda request: MARK in request.body["prompt"])

    with pytest.raises(EngineRejected, match=r"The prompt is\?\[1m too long"):
        await scored(engine, MARKED)
    assert server.seen(COMPLETIONS) == before + 2  # it, and what was answered at the start
    with pytest.raises(EngineRejected, match=r"The prompt is\?\[1m too long"):
        await engine.sample((*PROMPT, MARK), seeds=[1], max_tokens=3)


def refusing(server: StandIn, status: int, refused: Callable[[Request], bool]) -> Behaviour:
    async def behave(request: Request, _: Connection) -> bytes:
        if refused(request):
            return refusal(status, "The prompt\n is\x1b[1m too long.")
        return server.completed(request.body)

    return behave


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_server_that_refuses_everybody_is_waited_for(server: StandIn, engine: HttpEngine, status: int) -> None:
    """A gateway in front of it, or --max-logprobs too small since it was started again: each record would be lost."""
    server.behaviours[COMPLETIONS] = refusing(server, status, lambda request: True)

    for ask in (scored(engine), engine.sample(PROMPT, seeds=[1], max_tokens=3)):
        with pytest.raises(EngineUnavailable, match=rf"answers {status}.*other settings \(--max-model-len"):
            await ask
    # and one that refuses to draw for anybody, but scores
    server.behaviours[COMPLETIONS] = refusing(server, status, lambda request: "seed" in request.body)
    with pytest.raises(EngineUnavailable, match=rf"answers {status}.*other settings"):
        await engine.sample(PROMPT, seeds=[1], max_tokens=3)
    assert await scored(engine) < 0


async def test_a_server_restarted_with_a_smaller_limit_is_another_server(server: StandIn, engine: HttpEngine) -> None:
    """What it refuses was within the limits that it named at the start."""
    server.cards[0]["max_model_len"] = 64
    server.behaviours[COMPLETIONS] = refusing(server, 400, lambda request: len(request.body["prompt"]) > 64)

    with pytest.raises(EngineGone, match=r"max_model_len=512.*became.*max_model_len=64"):
        await scored(engine, Reply((8,) * 100, "", 0.0, False))


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 405])
async def test_a_redirect_a_wrong_key_or_a_missing_model_is_no_inputs_fault_and_not_repeated(
    server: StandIn, engine: HttpEngine, status: int
) -> None:
    before = len(server.requests)
    server.behaviours[COMPLETIONS] = always(answer(status, {}, Location="/version"))

    with pytest.raises(EngineUnavailable, match=f"answers {status}.*is the URL right"):
        await scored(engine)
    assert len(server.requests) == before + 1


async def test_a_model_that_was_renamed_is_waited_for(server: StandIn, engine: HttpEngine) -> None:
    # Given a server that was started again under another --served-model-name
    server.cards[0]["id"] = "renamed"
    for ask in (scored(engine), engine.sample(PROMPT, seeds=[1], max_tokens=3)):
        with pytest.raises(EngineUnavailable, match=r"`base` does not exist.*--served-model-name"):
            await ask
    # When it has its name again, then it is asked as before
    server.cards[0]["id"] = "base"
    assert await scored(engine) < 0


async def test_an_advertisers_own_model_that_was_renamed_is_down(server: StandIn, engine: HttpEngine) -> None:
    source = Bulkhead(OwnModel(Lazy.of(engine)), TIMEOUT_S)
    server.cards[0]["id"] = "renamed"

    with pytest.raises(OwnModelDown, match="does not exist"):
        await source.rewards(Candidates("Q?", (REPLY,), np.zeros(1)), make_bidder(0))


def in_turn(server: StandIn, *first: Behaviour) -> Behaviour:
    """Each of them once, then as it should be."""
    left = list(first)

    async def behave(request: Request, connection: Connection) -> bytes | None:
        return await (left.pop(0)(request, connection) if left else server.answered(request))

    return behave


async def closed_midway(_: Request, connection: Connection) -> None:
    await connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"choices": [')


async def closed_unanswered(_: Request, __: Connection) -> None:
    return


@pytest.mark.parametrize(
    "once",
    [
        always(refusal(429, "busy")),
        always(refusal(429, "busy", Retry_After="0")),
        always(refusal(429, "busy", Retry_After="Wed, 21 Oct 2026 07:28:00 GMT")),
        always(refusal(502, "")),
        always(answer(503, b"no backend")),
        always(refusal(500, "")),
        always(answer(200, b"{")),
        closed_midway,
        closed_unanswered,
    ],
)
async def test_transient_failures_are_retried(server: StandIn, engine: HttpEngine, once: Behaviour) -> None:
    server.behaviours[COMPLETIONS] = in_turn(server, once)

    assert await scored(engine) < 0


async def test_a_retry_after_header_is_honoured(server: StandIn) -> None:
    http = HttpOptions(tokenizer=str(TOKENIZER))
    clock = asyncio.get_running_loop().time
    async with standing_in(server) as url:
        engine = await open_http(f"{url}#base", EngineOptions(timeout_s=TIMEOUT_S, http=http))
        server.behaviours[COMPLETIONS] = in_turn(server, always(refusal(429, "busy", Retry_After="1")))
        start_s = clock()

        await scored(engine)

        assert clock() - start_s >= 1.0
        await engine.close()


@pytest.mark.parametrize("after", ["3600", "1" * 400, "-5", "x", ""])
async def test_a_server_that_stays_busy_is_unavailable(server: StandIn, engine: HttpEngine, after: str) -> None:
    server.behaviours[COMPLETIONS] = always(refusal(429, "come back later", Retry_After=after))

    with pytest.raises(EngineUnavailable, match="come back later"):
        await scored(engine)


# Silence


async def half_open(_: Request, connection: Connection) -> None:
    await connection.closed_by_client()


async def headers_then_nothing(_: Request, connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    await connection.closed_by_client()


async def drop_by_drop(_: Request, connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _count in range(1_000):
        await connection.send(b" ")
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("silence", [half_open, headers_then_nothing, drop_by_drop])
async def test_a_silent_server_ends_with_the_requests_timeout(
    server: StandIn, hurried: HttpEngine, silence: Behaviour
) -> None:
    server.behaviours[COMPLETIONS] = silence
    start_s = asyncio.get_running_loop().time()

    with pytest.raises(EngineTimeout):
        await scored(hurried)
    assert asyncio.get_running_loop().time() - start_s < TIMEOUT_S  # which the engine has where it is not hurried


@pytest.mark.parametrize("broken", [closed_midway, closed_unanswered])
async def test_broken_connections_are_a_server_that_is_down(
    server: StandIn, engine: HttpEngine, broken: Behaviour
) -> None:
    server.behaviours[COMPLETIONS] = broken

    with pytest.raises(EngineUnavailable):
        await scored(engine)


async def test_a_response_that_is_not_http_is_shown_bounded(server: StandIn, engine: HttpEngine) -> None:
    server.behaviours[COMPLETIONS] = always(b"\x1b[2J" * 5_000 + b"\r\n\r\n")

    with pytest.raises(EngineUnavailable) as caught:
        await scored(engine)
    assert len(str(caught.value)) < 500 and str(caught.value).isprintable()


async def test_an_endless_response_is_read_only_up_to_the_bound_of_its_request(
    server: StandIn, engine: HttpEngine
) -> None:
    sent = 0

    async def flood(_: Request, connection: Connection) -> None:
        nonlocal sent
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"1" * 0x10000 + b"\r\n"
        while True:  # until the client closes
            await connection.send(chunk)
            sent += len(chunk)

    server.behaviours[COMPLETIONS] = flood

    with pytest.raises(EngineUnavailable, match=r"more than \d{5} bytes"):
        await scored(engine)
    assert sent < 32 << 20  # in three attempts, with what waits in the sockets


async def test_a_large_response_does_not_block_the_event_loop() -> None:
    """It is 0.2 to 0.4 of the time that it does nothing else, and 0.95 or more where parsing blocks it.

    A machine with many times its load may hold it up too, but not in each of three attempts.
    """
    rows = [{str(one): {"logprob": -1.5, "rank": 3, "decoded_token": "abc"}} for one in range(150_000)]
    content = json.dumps({"prompt_logprobs": rows}).encode()

    pauses: list[float] = []
    while len(pauses) < 3 and min(pauses, default=1.0) > 0.9:
        pauses.append(await longest_pause(content, rows))
    assert min(pauses) < 0.9


async def longest_pause(content: bytes, rows: list[Any]) -> float:
    """The longest time in which the loop did nothing else, as a share of all the time that parsing takes."""
    clock = asyncio.get_running_loop().time
    start_s = last_s = clock()
    longest_s = 0.0
    parsing = asyncio.create_task(parsed(content))
    while not parsing.done():
        await asyncio.sleep(0.001)
        longest_s, last_s = max(longest_s, clock() - last_s), clock()
    assert (await parsing)["prompt_logprobs"] == rows
    return longest_s / (last_s - start_s)


async def test_a_compressed_bomb_is_not_unpacked(server: StandIn, engine: HttpEngine) -> None:
    bomb = gzip.compress(b" " * (8 << 20))
    server.behaviours[COMPLETIONS] = always(answer(200, bomb, Content_Encoding="gzip"))

    with pytest.raises(EngineUnavailable, match="not JSON"):
        await scored(engine)


# The circuit breaker


async def test_a_half_open_server_is_found_to_be_down_before_a_record_is_given_up(
    server: StandIn, hurried: HttpEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retries around the engine would else end in RetriesExhausted, and the record in a dead letter."""
    monkeypatch.setattr("workers.engines.calls.PAUSES_S", (0.01, 0.01, 0.01))
    server.behaviours[COMPLETIONS] = half_open

    with pytest.raises(EngineUnavailable, match="times in a row"):
        await Retrying(hurried).log_probs(PROMPT, [REPLY])


async def test_a_silent_server_is_found_to_be_down_though_deadlines_end_before_time_outs(
    server: StandIn, engine: HttpEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.engines.openai_http.breaker.PATIENCE_S", SHORT_S / 2)
    server.behaviours[COMPLETIONS] = half_open

    async def ended_by_its_deadline() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT_S):
                await engine.sample(PROMPT, seeds=range(1, 9), max_tokens=3)

    # one call's requests, given up together, are one silence
    for _ in range(FAILURES):
        assert await scored_soon(engine, server)
        await ended_by_its_deadline()
    # and answers in between count from the start
    for _ in range(FAILURES - 1):
        await ended_by_its_deadline()
    before = server.seen(COMPLETIONS)
    with pytest.raises(EngineUnavailable, match=f"no answer to anybody.*{FAILURES} times in a row"):
        await scored(engine)
    assert server.seen(COMPLETIONS) == before


async def scored_soon(engine: HttpEngine, server: StandIn) -> bool:
    """While the server, which is silent to others, answers this."""
    silent = server.behaviours.pop(COMPLETIONS)
    answered = await scored(engine) < 0
    server.behaviours[COMPLETIONS] = silent
    return answered


class Guarded:
    """Requests through a breaker whose clock stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.breaker = Breaker(lambda: self.now_s)

    def sent(self) -> asyncio.Task[None]:
        async def waits() -> None:
            async with self.breaker.guard():
                await asyncio.Event().wait()

        return asyncio.create_task(waits())

    async def answers(self) -> None:
        async with self.breaker.guard():
            pass

    async def is_open(self) -> bool:
        try:
            await self.answers()
        except EngineUnavailable:
            return True
        return False


async def given_up(requests: list[asyncio.Task[None]]) -> None:
    for request in requests:
        request.cancel()
    await asyncio.gather(*requests, return_exceptions=True)


async def test_requests_cancelled_soon_do_not_count_as_silence() -> None:
    guarded = Guarded()
    for _ in range(2 * FAILURES):
        request = guarded.sent()
        await asyncio.sleep(0)
        guarded.now_s += PATIENCE_S - 0.1
        await given_up([request])

    assert not await guarded.is_open()


async def test_requests_cancelled_while_others_are_answered_do_not_count_as_silence() -> None:
    guarded = Guarded()
    for _ in range(2 * FAILURES):
        request = guarded.sent()
        await asyncio.sleep(0)
        guarded.now_s += 10 * PATIENCE_S
        await guarded.answers()
        guarded.now_s += 0.1
        await given_up([request])

    assert not await guarded.is_open()


async def test_requests_cancelled_together_count_as_one_silence() -> None:
    guarded = Guarded()
    for silence in range(FAILURES):
        requests = [guarded.sent() for _ in range(64)]
        await asyncio.sleep(0)
        guarded.now_s += PATIENCE_S
        await given_up(requests)
        assert (guarded.breaker.doubts, guarded.breaker._failures) == (silence + 1, silence + 1)

    assert await guarded.is_open()


async def test_an_open_circuit_breaker_sends_nothing_until_a_probe_succeeds(
    server: StandIn, engine: HttpEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a server that broke every connection until the breaker opened
    server.behaviours[COMPLETIONS] = closed_unanswered
    with pytest.raises(EngineUnavailable):
        await scored(engine)
    # When it is asked again at once
    before = server.seen(COMPLETIONS)
    with pytest.raises(EngineUnavailable, match=f"{FAILURES} times in a row; asked again in"):
        await scored(engine)
    # Then it hears nothing of that
    assert server.seen(COMPLETIONS) == before
    # and when the pause is over, one of a call's requests goes through, and the others wait for its answer
    monkeypatch.setattr("workers.engines.openai_http.breaker.OPEN_S", 0.0)
    available = asyncio.Semaphore(0)
    go_on = asyncio.Event()

    async def slow(request: Request, _: Connection) -> bytes:
        available.release()
        await go_on.wait()
        return await server.answered(request)

    server.behaviours[COMPLETIONS] = slow
    call = asyncio.create_task(engine.sample(PROMPT, seeds=range(1, 9), max_tokens=3))
    await available.acquire()
    await asyncio.sleep(0.05)
    assert server.seen(COMPLETIONS) == before + 1
    go_on.set()
    assert len(await asyncio.wait_for(call, BOUND_S)) == 8


async def test_callers_waiting_for_a_failed_probe_send_nothing(server: StandIn, engine: HttpEngine) -> None:
    server.behaviours[COMPLETIONS] = closed_unanswered
    with pytest.raises(EngineUnavailable):
        await scored(engine)
    before = server.seen(COMPLETIONS)
    engine._client._breaker._silent_s -= OPEN_S  # as if that time had passed

    outcomes = await asyncio.gather(*(scored(engine) for _ in range(20)), return_exceptions=True)

    assert {type(one) for one in outcomes} == {EngineUnavailable}
    assert server.seen(COMPLETIONS) == before + 1


async def test_the_circuit_breaker_opens_lets_one_request_through_and_closes() -> None:
    now_s = 0.0
    breaker = Breaker(lambda: now_s)

    async def passes(error: BaseException | None = None) -> None:
        async with breaker.guard():
            if error is not None:
                raise error

    async def fails(error: BaseException) -> None:
        with pytest.raises(type(error)):
            await passes(error)

    # answers of any kind in between count from the start
    for _ in range(FAILURES - 1):
        await fails(Silent("refused"))
    await fails(EngineRejected("too long"))
    for _ in range(FAILURES - 1):
        await fails(EngineTimeout("late"))
    await passes()
    # open
    for _ in range(FAILURES):
        await fails(Silent("refused"))
    now_s = OPEN_S - 0.1
    with pytest.raises(EngineUnavailable, match=r"refused \(3 times in a row; asked again in 0\.1 s"):
        await passes()
    # a probe that is cancelled leaves its place to the next; one that fails opens it again
    now_s = OPEN_S
    await fails(asyncio.CancelledError())
    await fails(Silent("refused"))
    with pytest.raises(EngineUnavailable, match=r"asked again in 5\.0 s"):
        await passes()
    # one that succeeds closes it
    now_s = 2 * OPEN_S
    await passes()
    for _ in range(FAILURES - 1):
        await fails(Silent("refused"))
    await passes()


# Many at once


async def test_no_more_requests_than_allowed_are_in_flight(server: StandIn, engine: HttpEngine) -> None:
    async def slow(request: Request, _: Connection) -> bytes:
        await asyncio.sleep(0.01)
        return await server.answered(request)

    server.behaviours[COMPLETIONS] = slow

    await asyncio.gather(*(engine.log_probs(PROMPT, [REPLY] * 10) for _ in range(4)))

    assert server.most == 4
    assert server.connections <= 12  # kept alive, one opened while others were busy at most


async def test_waiting_for_a_free_slot_does_not_count_as_the_servers_time(server: StandIn, hurried: HttpEngine) -> None:
    """Each answer takes an eighth of its time, which leaves room for a busy machine; all of them take more than it."""
    hurried._client._timeout_s = 2 * SHORT_S
    began_s = asyncio.get_running_loop().time()

    async def slow(request: Request, _: Connection) -> bytes:
        await asyncio.sleep(2 * SHORT_S / 8)
        return await server.answered(request)

    server.behaviours[COMPLETIONS] = slow

    scores = await hurried.log_probs(PROMPT, [REPLY] * 48)  # twelve rounds

    assert scores.shape == (48,)
    assert asyncio.get_running_loop().time() - began_s > 2 * SHORT_S


async def test_a_cancelled_call_closes_its_connections(server: StandIn, engine: HttpEngine) -> None:
    """So that the server stops working on it."""
    left = asyncio.Event()
    asked = asyncio.Semaphore(0)
    gone = 0

    async def wait_for_the_end(_: Request, connection: Connection) -> None:
        nonlocal gone
        asked.release()
        await connection.closed_by_client()
        gone += 1
        if gone == 3:
            left.set()

    server.behaviours[COMPLETIONS] = wait_for_the_end
    call = asyncio.create_task(engine.sample(PROMPT, seeds=[1, 2, 3], max_tokens=5))
    for _ in range(3):
        await asked.acquire()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(left.wait(), BOUND_S)
    # and the places are free again
    del server.behaviours[COMPLETIONS]
    assert len(await engine.sample(PROMPT, seeds=range(1, 9), max_tokens=5)) == 8


async def test_the_first_error_ends_the_others_of_the_call(server: StandIn, engine: HttpEngine) -> None:
    left = asyncio.Event()

    async def behave(request: Request, connection: Connection) -> bytes | None:
        if MARK in request.body["prompt"]:
            return refusal(400, "no")
        if request.body["prompt"][: len(PROMPT)] != list(PROMPT):  # what it answered at the start
            return server.completed(request.body)
        await connection.closed_by_client()
        left.set()
        return None

    server.behaviours[COMPLETIONS] = behave

    with pytest.raises(EngineRejected):
        await engine.log_probs(PROMPT, [REPLY, MARKED])
    await asyncio.wait_for(left.wait(), BOUND_S)
