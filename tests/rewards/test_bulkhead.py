"""An advertiser's own model has a share of an auction's time, and none of it once it is down or slow as a rule."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.auction import Bidder, CandidatesScored
from schemas.reasons import AbstentionReason
from tests.rewards.models import Fake
from tests.support.builders import make_bidder, make_generated
from tests.support.fakes import Clock, drawn_by
from workers.engines.calls import seconds_left, within
from workers.errors import EngineError, EngineRejected, EngineTimeout, EngineUnavailable, OwnModelDown
from workers.operations.monitor import Monitor
from workers.rewards import breaker as breakers
from workers.rewards.base import Candidates
from workers.rewards.breaker import FIRST_PAUSE_S, LONGEST_PAUSE_S, MOST_SLOW, WINDOW, SlowCallBreaker
from workers.rewards.bulkhead import SHARE, Bulkhead
from workers.rewards.by_advertiser import ByAdvertiser
from workers.scoring import Scoring, Terms

TERMS = Terms(tau_micros_per_nat=1_000, currency="EUR", payment_rule="offset")
CANDIDATES = Candidates("Q?", (), np.zeros(0))
ME = make_bidder(0)
NAME = "http://127.0.0.1:8001#slow"
TIMEOUT_S = 0.2


class Server:
    """An own model: what it does is `behave`, which may wait or raise."""

    origin = None

    def __init__(self, behave: Callable[[], Awaitable[None]]) -> None:
        self.behave, self.asked, self.answered = behave, 0, 0

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        self.asked += 1
        await self.behave()
        self.answered += 1
        return np.ones(len(candidates.replies))


class Fixed:
    """A reward source that needs no model."""

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        return np.zeros(len(candidates.replies))


async def never() -> None:
    await asyncio.Event().wait()


async def at_once() -> None:
    """No wait."""


def after(seconds: float) -> Callable[[], Awaitable[None]]:
    return lambda: asyncio.sleep(seconds)


def failing(error: EngineError) -> Callable[[], Awaitable[None]]:
    async def behave() -> None:
        raise error

    return behave


async def auction(source: Bulkhead, limit: timedelta | None = None) -> CandidatesScored:
    """Two advertisers, of which the first has `source`; `limit`: until the query's deadline."""
    clock = Clock()
    scoring = Scoring(Fake("reference"), ByAdvertiser(Fixed(), {ME.advertiser_id: source}), TERMS, clock)
    changes = {} if limit is None else {"deadline": clock.moment + limit}
    (scored,) = await scoring.handle(make_generated(engine=drawn_by(Fake("reference")), **changes))
    assert "advertiser-01" in scored.data.rewards_micros
    return scored.data


async def waits(source: Bulkhead, auctions: int, timeout_s: float) -> list[bool]:
    """For each auction whether it waited as long as servers take here: 0.8 of their time-out, or all of it."""
    found = []
    for _ in range(auctions):
        began_s = time.monotonic()
        await auction(source)
        found.append(time.monotonic() - began_s > 0.7 * timeout_s)
    return found


async def probe_of(source: Bulkhead) -> None:
    if source._probe is not None:
        await asyncio.wait([source._probe])


# How long rivals wait


async def test_a_server_that_answers_just_in_time_delays_only_a_few_auctions() -> None:
    """Without the breaker on slowness it was all of them: such a server never fails."""
    server = Server(after(0.8 * TIMEOUT_S))
    source = Bulkhead(server, TIMEOUT_S)

    waited = await waits(source, 30, TIMEOUT_S)
    await source.close()

    assert sum(waited) <= MOST_SLOW + 1
    assert not any(waited[MOST_SLOW + 1 :])


async def test_a_silent_server_delays_one_auction_however_often_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each pause was followed by an auction that waited the whole time-out, with all that came meanwhile."""
    monkeypatch.setattr("workers.rewards.bulkhead.PATIENCE_S", 0.0)
    monkeypatch.setattr(breakers, "FIRST_PAUSE_S", TIMEOUT_S / 10)
    monkeypatch.setattr(breakers, "LONGEST_PAUSE_S", TIMEOUT_S / 10)
    server = Server(never)
    source = Bulkhead(server, TIMEOUT_S)

    waited = await waits(source, 1, TIMEOUT_S)
    for _ in range(3):
        await asyncio.sleep(TIMEOUT_S / 10)
        waited += await waits(source, 5, TIMEOUT_S)
        await probe_of(source)
    await source.close()

    assert waited == [True] + [False] * 15
    assert server.asked == 4  # by one auction, and by three probes


async def test_one_advertisers_model_gets_at_most_half_of_the_auctions_remaining_time() -> None:
    """Its own time-out may be far longer: what is left is for the others, and for settlement."""
    limit = timedelta(seconds=1)
    source = Bulkhead(Server(never), 600.0)
    began_s = time.monotonic()

    scored = await auction(source, limit)

    assert [one.reason for one in scored.abstentions] == [AbstentionReason.OWN_MODEL_DOWN]
    assert time.monotonic() - began_s >= 0.9 * SHARE * limit.total_seconds()
    async with within(limit):  # it ended before the deadline, and not by it
        with pytest.raises(OwnModelDown, match=r"no answer within 0\.[45]\d* s"):
            await source.rewards(CANDIDATES, ME)


@pytest.mark.parametrize("left_s", [0.02, 0.2])
async def test_a_timeout_in_a_nearly_late_auction_is_no_failure_of_the_model(left_s: float) -> None:
    source = Bulkhead(Server(never), 600.0)

    await auction(source, timedelta(seconds=left_s))

    assert not source._breaker.is_open


async def test_many_auctions_that_waited_long_and_were_cut_off_are_a_reason_to_leave_a_model_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or a server could wait for the end of each of them."""
    monkeypatch.setattr("workers.rewards.bulkhead.PATIENCE_S", 0.01)
    server = Server(never)
    source = Bulkhead(server, 600.0)

    for _ in range(2 * MOST_SLOW + 2):
        await auction(source, timedelta(seconds=0.2))
    await source.close()

    assert source._breaker.is_open and server.asked == MOST_SLOW + 1


async def test_queries_with_short_deadlines_do_not_open_a_models_circuit_breaker() -> None:
    """Half of what was left of such a query was some milliseconds: answers counted as slow, and four opened it."""
    server = Server(after(0.2))
    source = Bulkhead(server, 10.0)

    short = [await auction(source, timedelta(seconds=0.1)) for _ in range(WINDOW)]

    assert all(one.abstentions for one in short)
    assert server.asked == WINDOW and not source._breaker.is_open
    assert not (await auction(source)).abstentions


async def test_an_answer_is_slow_by_the_time_a_model_has_and_not_by_what_a_query_left() -> None:
    """0.12 s of 0.2 s were more than half."""
    source = Bulkhead(Server(after(0.12)), 10.0)

    for _ in range(2 * MOST_SLOW):
        await auction(source, timedelta(seconds=0.4))

    assert not source._breaker.is_open


# How it comes back


async def test_no_auction_waits_for_the_probe_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakers, "FIRST_PAUSE_S", 0.0)
    server = Server(failing(EngineUnavailable("no connection")))
    source = Bulkhead(server, 600.0)
    assert (await auction(source)).abstentions

    # When it is back, but takes its time
    go_on = asyncio.Event()
    server.behave = go_on.wait  # type: ignore[assignment]
    during = [await auction(source) for _ in range(3)]

    # Then the auctions until its probe's answer are held without it, the next one with it
    assert all(one.abstentions for one in during) and server.asked == 2
    go_on.set()
    await probe_of(source)
    assert not (await auction(source)).abstentions


async def test_a_probe_has_the_time_that_a_model_is_judged_by_and_not_what_a_query_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breakers, "FIRST_PAUSE_S", 0.0)
    server = Server(failing(EngineUnavailable("down")))
    source = Bulkhead(server, 10.0)
    await auction(source)
    left_s: list[float] = []

    async def takes_a_moment() -> None:
        left_s.append(seconds_left())
        await asyncio.sleep(0.1)

    # When queries with short deadlines are all there is
    server.behave = takes_a_moment
    await auction(source, timedelta(seconds=0.05))
    await probe_of(source)

    # Then the model comes back
    assert not (await auction(source)).abstentions
    assert left_s[0] > 5.0


async def test_a_bug_met_by_a_probe_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakers, "FIRST_PAUSE_S", 0.0)
    server = Server(failing(EngineUnavailable("down")))
    source = Bulkhead(server, 600.0)
    await auction(source)

    async def broken() -> None:
        raise ZeroDivisionError

    server.behave = broken
    await auction(source)
    await probe_of(source)

    with pytest.raises(ZeroDivisionError):
        await auction(source)
    with pytest.raises(ZeroDivisionError):
        await source.close()


async def test_a_probe_under_way_ends_with_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakers, "FIRST_PAUSE_S", 0.0)
    server = Server(failing(EngineUnavailable("down")))
    source = Bulkhead(server, 600.0)
    await auction(source)
    server.behave = never
    await auction(source)
    await asyncio.sleep(0)

    await source.close()

    assert source._probe is not None and source._probe.cancelled()


async def test_a_rejected_input_does_not_count_against_a_model() -> None:
    source = Bulkhead(Server(failing(EngineRejected("too long"))), 600.0)

    reasons = [(await auction(source)).abstentions[0].reason for _ in range(2 * WINDOW)]

    assert set(reasons) == {AbstentionReason.PROMPT_REJECTED}


# The breaker by itself


class Timed:
    """A breaker whose clock stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.breaker = SlowCallBreaker(lambda: self.now_s)

    def answer(self, in_time: Sequence[bool]) -> bool:
        for one in in_time:
            self.breaker.answered(one)
        return self.breaker.is_open

    def pause_s(self) -> float:
        """How long it stays open without a probe."""
        began_s = self.now_s
        while not self.breaker.probe_due:
            self.now_s += 0.5
        return self.now_s - began_s


def test_three_slow_answers_of_twelve_are_tolerated_and_a_fourth_is_not() -> None:
    assert not Timed().answer([False, True, True, True] * 20)
    assert Timed().answer([False, True, True] * 20)


def test_pauses_grow_while_probes_are_not_answered_in_time() -> None:
    timed = Timed()
    timed.breaker.failed()

    pauses = []
    for _ in range(6):
        pauses.append(timed.pause_s())
        timed.breaker.probed(in_time=False)

    assert pauses == [FIRST_PAUSE_S, 10, 20, 40, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_a_server_that_is_quick_for_probes_alone_delays_one_auction_a_pause_and_the_pauses_grow() -> None:
    timed = Timed()
    timed.answer([False] * (MOST_SLOW + 1))

    pauses = []
    for _ in range(5):
        pauses.append(timed.pause_s())
        timed.breaker.probed(in_time=True)
        assert timed.answer([False]), "one slow answer on probation opens it"

    assert pauses == [FIRST_PAUSE_S, 10, 20, 40, LONGEST_PAUSE_S]


def test_a_window_without_a_slow_answer_ends_the_probation() -> None:
    timed = Timed()
    timed.breaker.failed()
    timed.pause_s()
    timed.breaker.probed(in_time=True)

    assert not timed.answer([True] * WINDOW + [False] * MOST_SLOW)
    timed.breaker.failed()
    assert timed.pause_s() == FIRST_PAUSE_S


def test_calls_begun_before_the_breaker_opened_neither_close_it_nor_prolong_the_pause() -> None:
    timed = Timed()
    timed.breaker.failed()
    timed.now_s = 2.0
    timed.breaker.failed()

    assert timed.answer([True] * WINDOW)
    assert timed.pause_s() == FIRST_PAUSE_S - 2.0


# What Prometheus is told


async def test_each_advertisers_model_has_its_own_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.rewards.bulkhead.PATIENCE_S", 0.0)
    monkeypatch.setattr(breakers, "FIRST_PAUSE_S", 0.0)
    monitor = Monitor(stages=["scoring"], currency="EUR", engine="null")
    server = Server(at_once)
    source = Bulkhead(server, 0.02, model=NAME, observer=monitor.own_models)

    def told(name: str, **labels: str) -> float | None:
        value: float | None = monitor.registry.get_sample_value(f"auction_own_model_{name}", {"model": NAME, **labels})
        return value

    assert told("calls_total", outcome="skipped") == told("breakers_open") == told("slow_total") == 0
    await auction(source)
    server.behave = failing(EngineRejected("too long"))
    await auction(source)
    server.behave = failing(EngineTimeout("late"))
    await auction(source)
    assert told("breakers_open") == 1
    await auction(source)
    await probe_of(source)
    server.behave = at_once
    await auction(source)
    await probe_of(source)

    counted = {
        outcome: told("calls_total", outcome=outcome)
        for outcome in ("answered", "failed", "timed_out", "down", "skipped")
    }
    assert counted == {"answered": 2, "failed": 1, "timed_out": 2, "down": 0, "skipped": 2}
    assert told("breakers_open") == 0
    assert told("slow_total") == 2
    assert told("duration_seconds_count") == 5
