"""A short campaign: thousands of auctions while workers, broker and network break; each is settled exactly once.

That a fault was planned proves nothing: each test also demands that it has really happened.
"""

from pathlib import Path

import pytest

from tests.chaos.campaign import SESSION_S, Round
from tests.chaos.failpoints import POINTS
from tests.chaos.plan import Outcome, Plan
from tests.support.poisoned_batches import BATCHES
from workers.devkafka import DevelopmentBroker
from workers.stream.partition.producer import TRANSACTION_TIMEOUT_MS

pytestmark = [pytest.mark.chaos, pytest.mark.kafka]

#: On a machine with three times its load; whoever had to wait for an open transaction's end would be later.
RECOVERED_WITHIN_S = SESSION_S + 15.0
assert RECOVERED_WITHIN_S * 1_000 < TRANSACTION_TIMEOUT_MS
FAULTS = {
    "worker_kill": 8,
    "worker_kill_in_transaction": 5,
    "zombie": 1,
    "zombie_before_commit": 3,
    "broker_kill": 1,
    "reset": 2,
    "black_hole": 1,
    "latency": 1,
    "end_txn_delayed": 4,
    "end_txn_dropped": 3,
    "abort": 5,
    "rebalance": 1,
}
LEAST = {
    "broker_kill": 1,
    "reset": 1,
    "black_hole": 1,
    "end_txn_delayed": 1,
    "end_txn_dropped": 1,
    "abort": 3,
    "input_aborted": 5,
    "poison": 50,
    "duplicates": 10,
}


@pytest.fixture
def broker_can_be_started(session_broker: DevelopmentBroker) -> None:
    """Skips, or fails, where the session's own broker cannot be started; a round starts one of its own."""


def assert_broken_and_well(outcome: Outcome) -> None:
    assert not outcome.findings
    too_few = {name: (outcome.happened[name], least) for name, least in LEAST.items() if outcome.happened[name] < least}
    assert not too_few, "faults that happened less often than they have to prove anything"
    assert outcome.happened["worker_kill"] + outcome.happened["worker_kill_in_transaction"] >= 10
    assert outcome.happened["zombie"] + outcome.happened["zombie_before_commit"] >= 3


@pytest.mark.usefixtures("broker_can_be_started")
def test_every_query_has_one_outcome_whatever_fails(tmp_path: Path) -> None:
    outcome = Round(Plan(auctions=5_000, seed=20_261, faults=FAULTS), tmp_path / "round").run()

    assert outcome.auctions == 5_000
    assert_broken_and_well(outcome)


@pytest.mark.usefixtures("broker_can_be_started")
def test_partitions_of_the_killed_go_on_without_static_membership_too(tmp_path: Path) -> None:
    faults = {"worker_kill": 4, "worker_kill_in_transaction": len(POINTS)}

    outcome = Round(Plan(auctions=1_500, seed=20_262, faults=faults, is_static=False), tmp_path / "round").run()

    assert not outcome.findings
    assert outcome.happened["worker_kill"] + outcome.happened["worker_kill_in_transaction"] >= 4
    assert outcome.recovery_s, "no kill whose recovery nothing else disturbed"
    assert max(outcome.recovery_s) < RECOVERED_WITHIN_S


@pytest.mark.usefixtures("broker_can_be_started")
def test_a_broker_that_dies_within_a_write_or_comes_back_older_doubles_nothing_amid_bombs(
    tmp_path: Path,
) -> None:
    deaths = {"broker_storm": 1, "broker_disk_full": 1, "broker_checkpoint": 1}

    plan = Plan(auctions=1_200, seed=20_263, faults=deaths, has_strangers=True)
    outcome = Round(plan, tmp_path / "round").run()

    assert not outcome.findings
    assert {name: outcome.happened[name] for name in deaths} == deaths
    assert outcome.happened["strangers"] > len(BATCHES)
