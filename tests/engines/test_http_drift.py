"""A server over HTTP behind whose address another model is put: its numbers are billed to nobody."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import numpy as np
import pytest

from tests.support.builders import make_bidder
from tests.support.vllm_stand_in import TOKENIZER, Behaviour, Connection, Request, StandIn, answer, standing_in
from workers.engines.base import Reply
from workers.engines.lazy import Lazy
from workers.engines.openai_http import client as client_module
from workers.engines.openai_http.breaker import OPEN_S, QUIET_S
from workers.engines.openai_http.drift import EVERY_S
from workers.engines.openai_http.engine import HttpEngine
from workers.engines.openai_http.open import open_http
from workers.engines.options import EngineOptions, HttpOptions
from workers.errors import EngineGone, EngineUnavailable, OwnModelDown
from workers.rewards.base import Candidates
from workers.rewards.bulkhead import Bulkhead
from workers.rewards.log_ratio import OwnModel

TIMEOUT_S = 5.0  # more than any sound answer takes on a busy machine
BOUND_S = 10.0  # of every call here
COMPLETIONS = "/v1/completions"
PROMPT = (5, 6, 7)
REPLY = Reply((8, 9), "", 0.0, False)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAUSES_S", (0.01, 0.02))


@pytest.fixture
async def server() -> StandIn:
    server = StandIn()
    server.add_adapter("adverts", 0.5)
    return server


@pytest.fixture
async def engine(server: StandIn) -> AsyncIterator[HttpEngine]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(standing_in(server))
        http = HttpOptions(tokenizer=str(TOKENIZER), concurrency=4)
        engine = await open_http(f"{url}#base", EngineOptions(timeout_s=TIMEOUT_S, http=http))
        stack.push_async_callback(engine.close)
        yield engine


async def scored(engine: HttpEngine) -> float:
    async with asyncio.timeout(BOUND_S):
        return float((await engine.log_probs(PROMPT, [REPLY]))[0])


def once(server: StandIn, first: Behaviour) -> Behaviour:
    left = [first]

    async def behave(request: Request, connection: Connection) -> bytes | None:
        return await (left.pop()(request, connection) if left else server.answered(request))

    return behave


async def closed_unanswered(_: Request, __: Connection) -> None:
    return


# What makes it look


def after_a_silence(server: StandIn, _: HttpEngine) -> None:
    """It breaks a connection, as one that is stopped does, and answers when it is asked again."""
    server.behaviours[COMPLETIONS] = once(server, closed_unanswered)


def after_a_quiet_time(_: StandIn, engine: HttpEngine) -> None:
    """Nobody asked while one server was stopped and another started."""
    engine._client._breaker._answered_s -= QUIET_S  # as if that time had passed


def after_some_minutes(_: StandIn, engine: HttpEngine) -> None:
    assert engine._watch
    engine._watch._compared_s -= EVERY_S


REASONS = pytest.mark.parametrize("reason", [after_a_silence, after_a_quiet_time, after_some_minutes])
Reason = Callable[[StandIn, HttpEngine], None]

# What it finds


def another_version(server: StandIn) -> None:
    server.behaviours["/version"] = as_version("0.33.0")


def as_version(version: str) -> Behaviour:
    async def behave(_: Request, __: Connection) -> bytes:
        return answer(200, {"version": version})

    return behave


def another_card(server: StandIn) -> None:
    server.cards[0]["root"] = "/models/another"


def other_weights(server: StandIn) -> None:
    """Behind the same root: only the numbers can tell."""
    server.adapters["base"] = 0.05


CHANGES = pytest.mark.parametrize(
    ("change", "says"),
    [
        (another_version, r"version 0\.32\.0 became 0\.33\.0"),
        (another_card, ".*root='/models/tiny'.* became .*root='/models/another'"),
        (other_weights, "a reply that it gave -.* nats has -"),
    ],
)


@REASONS
@CHANGES
async def test_a_changed_model_behind_the_address_is_found_before_its_numbers_are_used(
    server: StandIn, engine: HttpEngine, reason: Reason, change: Callable[[StandIn], None], says: str
) -> None:
    reason(server, engine)
    change(server)

    with pytest.raises(EngineGone, match=f"serves something else as 'base': {says}.*new start checks everything"):
        await scored(engine)
    # and stays so, whatever is put there next
    for ask in (scored(engine), engine.sample(PROMPT, seeds=[1], max_tokens=3)):
        with pytest.raises(EngineGone):
            await ask


async def test_a_drift_check_begun_earlier_does_not_clear_a_later_suspicion(
    server: StandIn, engine: HttpEngine
) -> None:
    """Another model is put there while one is compared, which has seen the old version."""

    async def put_meanwhile(_: Request, __: Connection) -> bytes:
        engine._client._breaker.doubts += 1  # as by a silence
        another_version(server)
        return answer(200, {"version": "0.32.0"})

    after_some_minutes(server, engine)
    server.behaviours["/version"] = put_meanwhile

    with pytest.raises(EngineGone, match=r"version 0\.32\.0 became 0\.33\.0"):
        await scored(engine)


@REASONS
async def test_an_unchanged_model_passes_the_drift_check(server: StandIn, engine: HttpEngine, reason: Reason) -> None:
    before = server.seen("/version")
    reason(server, engine)
    server.adapters["base"] = 0.01  # as much as 16-bit arithmetic moves a token's log-probability

    assert await scored(engine) < 0
    assert server.seen("/version") == before + 1
    # and is not looked at again without a reason
    assert await scored(engine) < 0
    assert server.seen("/version") == before + 1


async def test_a_successful_probe_triggers_a_drift_check(server: StandIn, engine: HttpEngine) -> None:
    """The usual way: a server is down for a while, and what comes back is another model."""
    server.behaviours[COMPLETIONS] = closed_unanswered
    with pytest.raises(EngineUnavailable):
        await scored(engine)
    engine._client._breaker._silent_s -= OPEN_S
    del server.behaviours[COMPLETIONS]
    another_card(server)

    outcomes = await asyncio.gather(*(scored(engine) for _ in range(20)), return_exceptions=True)

    assert {type(one) for one in outcomes} == {EngineGone}


async def test_an_adapter_is_checked_for_drift_by_its_own_callers(server: StandIn, engine: HttpEngine) -> None:
    server.adapters["adverts"] = 0.6
    after_a_quiet_time(server, engine)

    assert await scored(engine) < 0  # the base is what it was
    with pytest.raises(EngineGone, match="serves something else as 'adverts'"):
        await engine.adapter("adverts").log_probs(PROMPT, [REPLY])


async def test_a_drifted_advertiser_model_is_not_billed_under_its_old_identity(
    server: StandIn, engine: HttpEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.rewards.breaker.FIRST_PAUSE_S", 0.0)
    source = Bulkhead(OwnModel(Lazy.of(engine)), TIMEOUT_S)
    after_a_quiet_time(server, engine)
    other_weights(server)

    for _ in range(3):
        with pytest.raises(OwnModelDown, match="serves something else"):
            await source.rewards(Candidates("Q?", (REPLY,), np.zeros(1)), make_bidder(0))


# How it looks


async def test_concurrent_calls_share_one_drift_check(server: StandIn, engine: HttpEngine) -> None:
    before = server.seen("/version"), server.seen(COMPLETIONS)
    after_some_minutes(server, engine)

    async with asyncio.timeout(BOUND_S):
        await engine.log_probs(PROMPT, [REPLY] * 64)

    assert server.seen("/version") == before[0] + 1
    assert server.seen(COMPLETIONS) == before[1] + 64 + 1
    assert server.most <= 4 + 1  # it does not queue behind those that wait for it


async def test_a_cancelled_caller_leaves_the_shared_drift_check_to_the_others(
    server: StandIn, engine: HttpEngine
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: Request, _: Connection) -> bytes:
        asked.set()
        await go_on.wait()
        return await server.answered(request)

    before = server.seen("/version")
    server.behaviours["/version"] = slow
    after_some_minutes(server, engine)
    calls = [asyncio.create_task(scored(engine)) for _ in range(3)]
    await asyncio.wait_for(asked.wait(), BOUND_S)

    calls[0].cancel()
    go_on.set()

    assert [type(one) for one in await asyncio.gather(*calls, return_exceptions=True)] == [
        asyncio.CancelledError,
        float,
        float,
    ]
    assert server.seen("/version") == before + 1


async def test_a_server_that_does_not_report_its_model_is_waited_for(server: StandIn, engine: HttpEngine) -> None:
    after_some_minutes(server, engine)
    server.behaviours["/version"] = closed_unanswered
    with pytest.raises(EngineUnavailable):
        await scored(engine)
    # one that was renamed while it was looked at has no other numbers
    del server.behaviours["/version"]
    engine._client._breaker._silent_s -= OPEN_S
    cards = server.cards[:]

    async def without_base(_: Request, __: Connection) -> bytes:
        return answer(200, {"data": cards[1:]})

    server.behaviours["/v1/models"] = without_base
    with pytest.raises(EngineUnavailable, match="no longer lists the model 'base'"):
        await scored(engine)
    # until it says so, and is the same
    del server.behaviours["/v1/models"]
    assert await scored(engine) < 0


async def test_closing_ends_a_drift_check_that_is_under_way(server: StandIn, engine: HttpEngine) -> None:
    asked = asyncio.Event()

    async def never(_: Request, connection: Connection) -> None:
        asked.set()
        await connection.closed_by_client()

    server.behaviours["/version"] = never
    after_some_minutes(server, engine)
    call = asyncio.create_task(scored(engine))
    await asyncio.wait_for(asked.wait(), BOUND_S)

    await asyncio.wait_for(engine.close(), BOUND_S)

    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.parametrize("name", ["x" * 20_000, "\x1b[31m\n\ud800"])
async def test_a_servers_text_is_shown_bounded_and_without_control_characters(
    server: StandIn, engine: HttpEngine, name: str
) -> None:
    after_some_minutes(server, engine)
    server.cards[0]["root"] = name

    with pytest.raises(EngineGone) as caught:
        await scored(engine)
    assert len(str(caught.value)) < 1_200 and str(caught.value).isprintable()
