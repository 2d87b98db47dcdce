"""Real actors of two partitions in one process: a record that kills is condemned, a slow one beside it never."""

import asyncio
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from schemas.reasons import DeadLetterReason
from tests.contracts.test_bus import Asked
from tests.simulation.answering import Answering
from tests.simulation.checks import attempts, origin, published, reason_of
from tests.simulation.clock import NOBODY
from tests.simulation.scenario import ASKED, OUTPUTS, PARTITIONS, Answerer, Given, Scenario
from tests.simulation.simulation import Simulation
from workers.stream.offsets import Completion
from workers.stream.partition.producer import TransactionalWriter, place
from workers.stream.partition.quarantine import Quarantine

pytestmark = [pytest.mark.simulation, pytest.mark.usefixtures("quiet")]

SLOW, DEADLY = 0, 1  # the number of the record, and of its partition
SLOWNESS_S, DEADLY_COMES_S, DOUBT_S = 4.0, 2.5, 2.0
DEATHS_BEFORE = 2  # so the slow record is worked on alone


class Slow(Answerer):
    """Takes long over one record."""

    async def handle(self, event: Any) -> Any:
        if event.data.number == SLOW:
            await asyncio.sleep(SLOWNESS_S)
        return await super().handle(event)


def given(at_s: float, number: int, *, is_deadly: bool) -> Given:
    key = next(key for key in map(str, range(100)) if place(key.encode(), PARTITIONS) == number)
    return Given(at_s, number, key, Asked(query_id=key, number=number).encode(), number, False, is_deadly)


def scenario(*, in_order: bool) -> Scenario:
    quiet_one = Scenario.draw(1, faults=False)
    records = [given(0.0, SLOW, is_deadly=False), given(DEADLY_COMES_S, DEADLY, is_deadly=True)]
    return replace(
        quiet_one,
        given=records,
        in_order=in_order,
        remembers=False,
        workers=1,
        static=True,
        slowness_s=0.0,
        session_s=1.0,
        engine_down_s=(0, 0),
        events=(),
        steps=(),
        budget=0,
        slow_markers=0.0,
    )


def ends(*, in_order: bool = False, with_doubt: bool = False) -> dict[int, str | None]:
    """The reason by which each record was refused, None where it was answered, by partition."""
    writers: list[TransactionalWriter] = []
    start = TransactionalWriter.start

    async def noted(writer: TransactionalWriter) -> None:
        writers.append(writer)
        await start(writer)

    def doubt() -> None:  # any failed request of the producer does this
        for writer in writers:
            writer.tainted = True

    with mock.patch.object(TransactionalWriter, "start", noted):
        simulation = Simulation(scenario(in_order=in_order), partial(Answering, answerer=Slow))
        noted_before = Completion(0, frozenset(), DEATHS_BEFORE)
        (group,) = simulation.world.broker.groups.values()
        group.committed[ASKED.name, SLOW] = (0, noted_before.metadata())
        if with_doubt:
            simulation.world.loop.call_at(DOUBT_S, doubt, context=NOBODY)
        outcome = simulation.run()
    assert not outcome.findings
    return {origin(outcome, entry)[0]: reason_of(entry) or None for entry in published(outcome, *OUTPUTS)}


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("with_doubt", [False, True])
def test_only_the_record_that_crashes_workers_is_dead_lettered(in_order: bool, with_doubt: bool) -> None:
    assert ends(in_order=in_order, with_doubt=with_doubt) == {
        SLOW: None,
        DEADLY: DeadLetterReason.CRASHED_WORKER.name,
    }


def test_without_quarantine_a_slow_record_would_be_dead_lettered_too() -> None:
    """What the test above can see."""
    nobody_waits = {"take": lambda *_: True, "closed_to": lambda *_: False}
    with mock.patch.multiple(Quarantine, **nobody_waits):
        assert ends()[SLOW] == DeadLetterReason.CRASHED_WORKER.name


def test_attempts_count_for_the_first_record_that_is_not_finished_though_markers_lie_before_it() -> None:
    """Offsets 1 and 2 are markers, 3 and 4 finished early: what is begun at the base 1 is begun at the record 5."""
    history = [Completion(1, frozenset({3, 4}), attempts) for attempts in (1, 2)] + [Completion(5, frozenset(), 3)]
    group = SimpleNamespace(offset_history=[(("t", 0), one.base, one.metadata()) for one in history])
    outcome = SimpleNamespace(group=group, inputs={(0, offset): offset for offset in (3, 4, 5)})

    assert attempts(outcome, (0, 5)) == 3  # type: ignore[arg-type]
