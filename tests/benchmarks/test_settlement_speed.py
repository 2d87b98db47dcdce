"""How fast auctions are settled, on one core, without Kafka."""

import timeit
from collections.abc import Callable
from time import process_time

import numpy as np
import pytest

from tests.benchmarks.auctions import CANDIDATES, scored_auctions
from tests.benchmarks.report import report
from tests.builders import DRAW_KEY
from workers.mechanism.allocation import allocate
from workers.mechanism.payments import offset
from workers.settlement import Settlement

pytestmark = pytest.mark.benchmark

SIZES = ((20, 2), (20, 8), (64, 8), (64, 64), (256, 8), (256, 64))


def best_s(work: Callable[[], object], number: int) -> float:
    """Seconds of CPU of one call: the best of ten rounds, which other programs disturbed least."""
    return min(timeit.repeat(work, number=number, repeat=10, timer=process_time)) / number


async def test_handle() -> None:
    (event,) = await scored_auctions(1)
    settlement = Settlement(DRAW_KEY)
    seconds = best_s(lambda: settlement.settle(event), 200)
    row = {"M": CANDIDATES, "N": 2, "microseconds": seconds * 1e6, "auctions/s per core": 1 / seconds}
    report("settlement-handle", [row])


def test_mechanism() -> None:
    rng, rows = np.random.default_rng(0), []
    for candidates, advertisers in SIZES:
        log_q, log_ref = -rng.gamma(5, 5, candidates), -rng.gamma(5, 5, candidates)
        rewards = rng.normal(0, 1_000, (advertisers, candidates))
        seconds = best_s(lambda: offset(allocate(log_q, log_ref, rewards, 1_000.0), 1_000.0), 200)  # noqa: B023
        per_cell = seconds * 1e9 / (candidates * advertisers)
        rows.append({"M": candidates, "N": advertisers, "microseconds": seconds * 1e6, "ns per cell": per_cell})
    report("mechanism", rows)
