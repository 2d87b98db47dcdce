"""How fast auctions are settled, on one core, without Kafka."""

import timeit
from collections.abc import Callable
from time import process_time

import numpy as np

from tests.benchmarks.auctions import CANDIDATES, scored_auctions
from tests.benchmarks.report import Scale
from tests.support.builders import settle
from workers.mechanism.allocation import Floats, Numbers
from workers.mechanism.payments import offset, whole_micros
from workers.truthfulness.misreports import one_by_one, price_reports
from workers.truthfulness.rule import as_billed

SIZES = ((20, 2), (20, 8), (64, 8), (64, 64), (256, 8), (256, 64))


def best_s(scale: Scale, work: Callable[[], object], number: int) -> float:
    """Seconds of CPU of one call: the best of ten rounds, which other programs disturbed least."""
    number, rounds = scale((number, 10), (1, 1))
    return min(timeit.repeat(work, number=number, repeat=rounds, timer=process_time)) / number


async def test_handle(scale: Scale) -> None:
    (event,) = await scored_auctions(1)
    seconds = best_s(scale, lambda: settle(event), 200)
    row = {"M": CANDIDATES, "N": 2, "microseconds": seconds * 1e6, "auctions/s per core": 1 / seconds}
    scale.report("settlement-handle", [row])


def charge(log_q: Floats, log_ref: Floats, rewards: Floats, tau: float) -> tuple[int, ...]:
    numbers = Numbers(log_q, log_ref, rewards, tau)
    return whole_micros(offset(numbers, numbers.solve(), 0))


def test_mechanism(scale: Scale) -> None:
    rng, rows = np.random.default_rng(0), []
    for candidates, advertisers in SIZES:
        log_q, log_ref = -rng.gamma(5, 5, candidates), -rng.gamma(5, 5, candidates)
        rewards = rng.normal(0, 1_000, (advertisers, candidates))
        seconds = best_s(scale, lambda: charge(log_q, log_ref, rewards, 1_000.0), 200)  # noqa: B023
        per_cell = seconds * 1e9 / (candidates * advertisers)
        rows.append({"M": candidates, "N": advertisers, "microseconds": seconds * 1e6, "ns per cell": per_cell})
    scale.report("mechanism", rows)


def test_misreports(scale: Scale) -> None:
    """A batch of lies against as many auctions, one for each lie."""
    rng, count = np.random.default_rng(0), scale(100, 4)
    numbers = Numbers(-rng.gamma(5, 5, 20), -rng.gamma(5, 5, 20), rng.normal(0, 1_000, (2, 20)), 1_000.0)
    reports = rng.normal(0, 1_000, (count, 20))
    batch, single = (
        best_s(scale, lambda: price(numbers, 0, reports), 10) * 1e6 / count  # noqa: B023  # called before the next turn
        for price in (price_reports, one_by_one(as_billed))
    )
    scale.report("misreports", [{"M": 20, "N": 2, "lies": count, "microseconds each": batch, "one by one": single}])
