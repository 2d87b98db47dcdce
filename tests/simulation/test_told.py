"""What an observer is told where the answer to a commit is lost: metrics of money follow from it."""

import dataclasses
from collections import Counter
from unittest import mock

import pytest

from tests.simulation import faults
from tests.simulation.checks import judge, published
from tests.simulation.faults import Fault
from tests.simulation.scenario import ANSWERED, USED, Scenario
from tests.simulation.simulation import Simulation
from workers.stream.partition import producer

pytestmark = [pytest.mark.simulation, pytest.mark.usefixtures("quiet")]

SEEDS = 30


def one_process(seed: int) -> Scenario:
    """Nothing but answers to commits is lost."""
    scenario = Scenario.draw(seed)
    healthy = [dataclasses.replace(given, poisonous=False) for given in scenario.given]
    return dataclasses.replace(
        scenario,
        given=healthy,
        workers=1,
        budget=3,
        steps=(),
        events=(),
        engine_down_s=(0, 0),
        slow_markers=0.0,
        intensity=1.0,
    )


def test_each_event_whose_commit_was_not_answered_is_told_once() -> None:
    lost = 0
    with (
        mock.patch.dict(faults.RATES, {"EndTxn": 250}, clear=True),
        mock.patch.object(faults, "OTHERS", 0),
        mock.patch.object(faults, "REFUSED_BATCHES", 0),
        mock.patch.object(producer, "STEP_TIMEOUT_S", 0.08),  # before aiokafka asks again
        mock.patch.dict(faults.WEIGHTS, {Fault.ANSWER_LOST: 1, Fault.EXECUTED_LATE: 1}, clear=True),
    ):
        for seed in range(SEEDS):
            outcome = Simulation(one_process(seed)).run()
            if outcome.faults.happened["worker gave up"]:
                continue  # what it was not told of, nobody was
            lost += outcome.faults.happened[Fault.ANSWER_LOST.value]
            told = Counter(id_ for life in outcome.lives for id_ in life.journal.committed_ids)
            stored = Counter(
                (dict(entry.headers)["ce_id"] or b"").decode() for entry in published(outcome, ANSWERED.name, USED.name)
            )
            assert (judge(outcome), told) == ([], stored), f"seed {seed}"

    assert lost > SEEDS / 4
