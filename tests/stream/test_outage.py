"""How a stage waits for an engine that is down: what ends the wait, and who asks meanwhile."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from schemas.envelope import Event
from schemas.reasons import DeadLetterReason, VoidReason
from tests.stages.test_scoring import TERMS, make_generated
from tests.support.builders import make_query
from tests.support.fakes import Clock, FaultyEngine, Hang
from workers.engines.calls import Retrying
from workers.engines.contact import engine_answered, engine_asked
from workers.errors import EngineUnavailable, Refused
from workers.rewards.log_ratio import LogRatio
from workers.scoring import Scoring
from workers.stream import outage
from workers.stream.outage import PatientWorker

WAIT_S = 30.0
LONG_S = 3_600.0


@dataclass
class Scripted:
    """A worker that does as the next line of its script says; the last line goes on for ever."""

    script: list[str]
    heard: list[str] = field(default_factory=list)

    async def handle(self, event: Event[Any]) -> Sequence[Event[Any]]:
        line = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.heard.append(line)
        if "asks" in line:
            engine_asked()
        if "down" in line:
            raise EngineUnavailable("no connection")
        if "answered" in line:
            engine_answered()
        if "refuses" in line:
            raise Refused(DeadLetterReason.EXPIRED, "too late")
        return ()


def patient(*script: str) -> tuple[PatientWorker, Scripted, list[bool]]:
    """The worker, its script, and what `told` heard."""
    worker, told = Scripted(list(script)), list[bool]()
    return PatientWorker(worker, told.append), worker, told


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "FIRST_PAUSE_S", 0.0)


@pytest.fixture
def long_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pause is over at once, each later one only when the test is."""
    monkeypatch.setattr(outage, "LONGEST_PAUSE_S", LONG_S)
    monkeypatch.setattr(outage, "FIRST_PAUSE_S", LONG_S)
    monkeypatch.setattr("random.uniform", lambda least, most: most)


@pytest.mark.usefixtures("no_pause")
async def test_only_an_answer_of_the_engine_ends_an_outage() -> None:
    worker, _, told = patient("asks, down", "asks, answered")

    await worker.handle(make_query())

    assert told == [True, False]


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("line", ["asks, in vain", "done without asking"])
async def test_an_event_finished_without_asking_the_engine_does_not_end_an_outage(line: str) -> None:
    worker, _, told = patient("asks, down", line)

    await worker.handle(make_query())

    assert told == [True]


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("line", ["refuses", "asks, refuses", "asks, answered, refuses"])
async def test_a_refused_record_does_not_reset_the_backoff(line: str) -> None:
    worker, _, told = patient("asks, down", "asks, down", "asks, down", line)

    with pytest.raises(Refused):
        await worker.handle(make_query())

    assert (told, worker._failures) == ([True], 3)


async def down(worker: PatientWorker) -> "asyncio.Task[Any]":
    """The engine is found to be down, by a record that waits now for its next turn."""
    first = asyncio.create_task(worker.handle(make_query()))
    while not worker._failures:
        await asyncio.sleep(0)
    return first


@pytest.mark.usefixtures("long_pause")
async def test_in_an_outage_records_that_do_not_ask_the_engine_wait_for_no_backoff_of_their_own() -> None:
    """A backlog of expired queries is refused without a pause for each of them."""
    worker, script, _ = patient("asks, down", "refuses")
    first = await down(worker)
    waiting = [asyncio.create_task(worker.handle(make_query())) for _ in range(20)]
    await asyncio.sleep(0.01)
    assert script.heard == ["asks, down"]  # all wait, and only for the turn

    worker._turn_is_free.set()  # the first pause is over
    done, _ = await asyncio.wait([first, *waiting], timeout=WAIT_S)

    assert len(done) == 21
    assert all(isinstance(one.exception(), Refused) for one in done)


@pytest.mark.usefixtures("long_pause")
async def test_in_an_outage_one_record_asks_the_engine_per_backoff() -> None:
    worker, script, _ = patient("asks, down", "asks, refuses")
    first = await down(worker)
    waiting = [asyncio.create_task(worker.handle(make_query())) for _ in range(5)]
    await asyncio.sleep(0.01)

    worker._turn_is_free.set()
    await asyncio.sleep(0.05)

    assert script.heard == ["asks, down", "asks, refuses"]
    for task in (first, *waiting):
        task.cancel()
    await asyncio.gather(first, *waiting, return_exceptions=True)


@pytest.mark.usefixtures("long_pause")
async def test_when_the_engine_is_back_no_record_waits_for_the_rest_of_the_backoff() -> None:
    worker, _, told = patient("asks, down", "asks, answered")
    first = await down(worker)
    second = asyncio.create_task(worker.handle(make_query()))
    await asyncio.sleep(0.01)

    worker._turn_is_free.set()
    done, _ = await asyncio.wait([first, second], timeout=WAIT_S)

    assert (len(done), told) == (2, [True, False])


@pytest.mark.usefixtures("no_pause")
async def test_a_void_auction_by_deadline_does_not_end_an_outage() -> None:
    """The gauge would read 0 while the engine hangs, and the alert would end."""
    hanging, told = Retrying(FaultyEngine({"": Hang()})), list[bool]()
    clock = Clock()
    late = make_generated(deadline=clock.moment + timedelta(milliseconds=20))
    worker = PatientWorker(Scoring(hanging, LogRatio(hanging), TERMS, clock), told.append)
    worker._is_down(EngineUnavailable("no connection"))

    (scored,) = await worker.handle(late)

    assert scored.data.void_reason is VoidReason.DEADLINE_PASSED  # type: ignore[attr-defined]
    assert told == [True]


@pytest.mark.usefixtures("no_pause")
async def test_an_engines_answer_counts_from_inside_the_workers_own_tasks() -> None:
    engine, told = Retrying(FaultyEngine()), list[bool]()
    worker = PatientWorker(Scoring(engine, LogRatio(engine), TERMS, Clock()), told.append)
    worker._is_down(EngineUnavailable("no connection"))

    await worker.handle(make_generated())

    assert told == [True, False]
