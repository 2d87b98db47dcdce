"""Committed offsets that go back, all stages: whatever comes upstream again, no auction is settled or billed twice."""

import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace as Answer
from typing import Any
from unittest import mock

import pytest

from schemas.topics import GENERATED, SCORED, SETTLED
from tests.simulation.api import Api
from tests.simulation.auctions import Auctions, everything_visible, judge_money
from tests.simulation.lives import Outcome
from tests.simulation.mutants import any_position_believed, memory_not_read
from tests.simulation.scenario import BUSY_S, Scenario
from tests.simulation.simulation import Simulation
from workers.stream.deduplication.known_auctions import IdStatus, KnownAuctions

pytestmark = [pytest.mark.simulation, pytest.mark.usefixtures("quiet")]

SEEDS = 75
OLD_ANSWERS = 0.3  # of all answers to where a group stands


@contextlib.contextmanager
def positions_go_back(seed: int) -> Iterator[Counter[str]]:
    """While faults strike, any earlier committed offset is answered now and then; counts these by group."""
    rng, told, fetch = random.Random(f"positions {seed}"), Counter[str](), Api._offset_fetch

    def old(self: Api, request: Any) -> Any:
        answer = fetch(self, request)
        group = self._broker.groups[request.group]
        rows = []
        for topic, numbers in answer.topics:
            for number, *_, error in numbers:
                known = [(0, "")] + [said for place, *said in group.offset_history if place == (topic, number)]
                is_old = self._broker._loop.time() < BUSY_S and rng.random() < OLD_ANSWERS
                told[group.name] += is_old and len(known) > 1
                rows.append((topic, [(number, *(rng.choice(known) if is_old else known[-1]), error)]))
        return Answer(error_code=answer.error_code, topics=rows)

    with mock.patch.object(Api, "_offset_fetch", old):
        yield told


def same_auction_is_settled_again() -> Any:
    """Only another auction of a query id is a duplicate: a record that comes again is settled again."""
    standing = KnownAuctions.standing

    def lenient(self: KnownAuctions, *event: str) -> IdStatus:
        found = standing(self, *event)
        return found if found is IdStatus.OTHER_AUCTION else IdStatus.NEW

    return mock.patch.object(KnownAuctions, "standing", lenient)


def run(seed: int) -> tuple[Outcome, Counter[str]]:
    """Without what else holds against such answers: `tests/simulation/test_position.py` is about that."""
    with any_position_believed(), positions_go_back(seed) as told:
        return Simulation(Scenario.draw(seed), Auctions).run(), told


def test_committed_positions_that_go_back_double_no_bill() -> None:
    old_answers, waste = Counter[str](), Counter[str]()
    for seed in range(SEEDS):
        outcome, told = run(seed)
        assert not [*judge_money(outcome)], f"seed {seed}"
        old_answers += told
        for topic in (GENERATED, SCORED, SETTLED):
            entries = everything_visible(outcome)[topic.name]
            waste[topic.name] += len(entries) - len({entry.key for entry in entries})
        letters = everything_visible(outcome)[SCORED.dead_letters]
        waste["scored again"] += sum(("dlq.reason", b"DUPLICATE_QUERY") in letter.headers for letter in letters)

    assert len(old_answers) == 3 and min(old_answers.values()) > SEEDS / 4, old_answers
    assert waste[GENERATED.name] and waste[SCORED.name], "nothing upstream was doubled: there was nothing to hold"
    assert 0 < waste["scored again"] < waste[SCORED.name], "one way of coming again was not met"
    assert not waste[SETTLED.name]


@pytest.mark.parametrize("mutant", [same_auction_is_settled_again, memory_not_read])
def test_without_deduplication_bills_are_doubled_and_noticed(mutant: Any) -> None:
    with mutant():
        found = next((found for seed in range(SEEDS) if (found := [*judge_money(run(seed)[0])])), [])

    assert any("bills" in finding for finding in found)
