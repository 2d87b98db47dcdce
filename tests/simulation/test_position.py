"""Older committed offsets, answered by a coordinator that comes up: each protection alone keeps work from doubling."""

import dataclasses
from collections.abc import Iterator
from unittest import mock

import pytest

from tests.simulation import groups
from tests.simulation.checks import judge
from tests.simulation.lives import Outcome
from tests.simulation.mutants import (
    older_position_believed,
    position_read_from_the_coordinator,
    position_read_without_a_write,
)
from tests.simulation.scenario import Scenario
from tests.simulation.simulation import Simulation

pytestmark = [pytest.mark.simulation, pytest.mark.usefixtures("quiet")]

SEEDS = 60
BROKER_DEATHS = ((1.2, "broker"), (2.4, "broker"), (4.0, "broker"))


def one_process_and_a_dying_broker(seed: int) -> Scenario:
    """Nothing else goes wrong: what was committed, this process has committed."""
    scenario = Scenario.draw(seed)
    healthy = [dataclasses.replace(given, poisonous=False) for given in scenario.given]
    return dataclasses.replace(
        scenario, given=healthy, workers=1, budget=0, steps=(), events=BROKER_DEATHS, engine_down_s=(0, 0)
    )


def runs() -> Iterator[Outcome]:
    """Those in which the process lived through: a new one has nothing of its own to hold against an old answer."""
    for seed in range(SEEDS):
        outcome = Simulation(one_process_and_a_dying_broker(seed)).run()
        if not outcome.faults.happened["worker gave up"]:
            yield outcome


def stale_positions(outcome: Outcome) -> int:
    return sum(life.journal.stale_positions for life in outcome.lives)


def test_a_process_never_goes_on_from_less_than_it_has_committed() -> None:
    refused = 0
    with position_read_without_a_write():
        for outcome in runs():
            assert not judge(outcome), f"seed {outcome.scenario.seed}"
            refused += stale_positions(outcome)

    assert refused > SEEDS / 20  # coordinators seldom come up behind in the moment they are asked: 5 in 60 runs


def test_without_the_barrier_and_the_stale_position_check_work_is_done_twice_and_noticed() -> None:
    with position_read_without_a_write(), older_position_believed():
        found = [finding for outcome in runs() for finding in judge(outcome)]

    assert any("goes back" in finding for finding in found)
    assert any("has 2 results" in finding for finding in found)


def test_behind_a_write_no_older_position_is_read() -> None:
    behind = 0
    with older_position_believed():
        for outcome in runs():
            assert not judge(outcome), f"seed {outcome.scenario.seed}"
            behind += outcome.faults.happened["coordinator came up behind"]

    assert behind > SEEDS / 2


def test_the_log_holds_where_coordinators_take_writes_and_have_lost_the_past() -> None:
    stale = 0
    with mock.patch.object(groups, "LOST", 1.0), older_position_believed():
        for seed in range(SEEDS):
            outcome = Simulation(dataclasses.replace(one_process_and_a_dying_broker(seed), workers=3)).run()
            assert not judge(outcome), f"seed {seed}"
            stale += outcome.faults.happened["old offset answered"]

    assert stale > SEEDS / 4


def test_without_the_log_such_coordinators_double_work_and_it_is_seen() -> None:
    with mock.patch.object(groups, "LOST", 1.0), position_read_from_the_coordinator(), older_position_believed():
        found = [finding for outcome in runs() for finding in judge(outcome)]

    assert any("has 2 results" in finding for finding in found)
