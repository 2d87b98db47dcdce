"""Thousands of seeds: crashes, zombies, rebalances, lost and late answers, and each record still has one result."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.simulation.checks import judge
from tests.simulation.scenario import Scenario
from tests.simulation.seeds import Tally, run_auctions, run_many
from tests.simulation.simulation import Simulation

pytestmark = pytest.mark.simulation

SEEDS = int(os.environ.get("TESSERA_TEST_SEEDS", "10000"))
FIRST = int(os.environ.get("TESSERA_TEST_FIRST_SEED", "0"))
ROOT = Path(__file__).parents[2]

#: What must have happened, each of them many times, else the run proves less than it says.
FAULTS = (
    "request lost",
    "answer lost",
    "executed late",
    "slow",
    "timed out",
    "batch refused",
    "crash",
    "crash before a request",
    "crash before an answer",
    "crash at a step",
    "zombie",
    "zombie before a request",
    "zombie before an answer",
    "broker restart",
    "coordinators elected",
    "group coordinator loading",
    "transaction coordinator loading",
    "rebalance",
    "session expired",
    "static member came back",
    "orderly stop",
    "fenced producer",
    "fenced open transaction",
    "abort marker",
    "slow marker",
    "repeated batch recognised",
    "coordinator came up behind",
    "old offset answered",
    "offset not stable",
)


def test_each_record_has_one_result_whatever_happens(capsys: pytest.CaptureFixture[str]) -> None:
    tally, began = Tally(), time.monotonic()

    for chunk in run_many(FIRST, SEEDS):
        tally.add(chunk)
        if tally.seeds % 1_000 == 0:
            with capsys.disabled():
                rate = tally.seeds / (time.monotonic() - began)
                print(f"\n{tally.seeds:,} of {SEEDS:,} seeds, {len(tally.failed)} failed, {rate:.0f}/s", end="")

    with capsys.disabled():
        print(f"\n{tally.seeds / (time.monotonic() - began):.1f} seeds/s, {tally.steps:,} steps\n{tally}")
    assert not tally.failed, f"\n{tally}"
    if SEEDS >= 1_000:
        assert not [what for what in FAULTS if not tally.happened[what]]


def test_each_query_has_one_reply_and_its_bills_through_the_real_stages() -> None:
    tally = Tally()
    for chunk in run_many(FIRST, max(1, SEEDS // 50), run_auctions):
        tally.add(chunk)

    assert not tally.failed, f"\n{tally}"


def test_without_faults_no_worker_fails() -> None:
    for seed in range(20):
        outcome = Simulation(Scenario.draw(seed, faults=False)).run()

        assert not judge(outcome)
        assert not outcome.faults.happened["worker gave up"]


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_a_seed_gives_the_same_run_again_in_any_process(seed: int) -> None:
    digests = {digest(seed), digest(seed)}

    for hash_seed in ("1", "2"):
        program = f"from tests.simulation.test_simulation import digest; print(digest({seed}))"
        child = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        digests.add(child.stdout.strip())

    assert len(digests) == 1


def digest(seed: int) -> str:
    """Of every request and answer of the run."""
    return hashlib.sha256("\n".join(Simulation(Scenario.draw(seed), traced=True).run().trace).encode()).hexdigest()
