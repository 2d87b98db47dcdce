"""The search for a lie: its batch agrees with the rule, it finds lies where they pay, and none where they do not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mechanism.auctions import auctions
from workers.mechanism.allocation import Floats, Numbers
from workers.mechanism.payments import whole_micros
from workers.truthfulness.misreports import find_misreport, one_by_one, price_reports
from workers.truthfulness.properties import row_tolerance
from workers.truthfulness.rule import Priced, as_billed, with_report

TAU = 1_000.0


def capped(numbers: Numbers) -> Priced:
    """No charge above 100 micros."""
    prices = np.minimum(as_billed(numbers).prices, 100.0)
    return Priced(numbers.solve(), prices, whole_micros(prices))


def free(numbers: Numbers) -> Priced:
    """Nobody pays."""
    priced = as_billed(numbers)
    return replace(priced, prices=0.0 * priced.prices, charges=(0,) * len(priced.charges))


@settings(max_examples=60, deadline=None)
@given(auctions(candidates=(1, 40), advertisers=(1, 6)), st.integers(0, 2**32 - 1))
def test_pricing_reports_in_one_batch_equals_the_rule_report_by_report(auction: Numbers, seed: int) -> None:
    rng = np.random.default_rng(seed)
    advertiser = int(rng.integers(len(auction.rewards)))
    reports = auction.rewards[advertiser] + auction.tau * rng.normal(size=(5, len(auction.log_q)))

    batch, single = (price(auction, advertiser, reports) for price in (price_reports, one_by_one(as_billed)))

    for lie, pi, price, charge, expected_pi, expected in zip(
        reports, batch.pi, batch.prices, batch.charges, single.pi, single.prices, strict=True
    ):
        tolerance = row_tolerance(with_report(auction, advertiser, lie))
        assert pi == pytest.approx(expected_pi, abs=tolerance / auction.tau)
        assert price == pytest.approx(expected, abs=tolerance)
        assert charge == round(price)


def test_under_a_charge_cap_the_search_finds_a_misreport_and_its_gain_is_what_the_rule_pays() -> None:
    # Given an advertiser that the first of two candidates is worth 4τ to: honest p = τ·KL, far above the cap of 100
    numbers = Numbers(np.zeros(2), np.zeros(2), np.array([[4.0 * TAU, 0.0]]), TAU)
    # Then honest: π = e⁴/(e⁴ + 1) = .98201, utility = 3928.06 − 100 = 3828.06
    # and at most, with the first candidate for sure: 4000 − 100 = 3900: a gain of 71.94
    found = find_misreport(numbers, 0, capped, np.random.default_rng(0))

    assert found.gain_micros == pytest.approx(71.94, abs=0.01)
    assert found.gain_whole_micros == pytest.approx(71.94, abs=0.01)
    # and the same search finds nothing against the product's rule
    assert find_misreport(numbers, 0, as_billed, np.random.default_rng(0)).gain_micros <= 1e-9 * TAU


@pytest.mark.parametrize("kind", ["random", "scaled", "one_hot", "ascent"])
def test_where_nobody_pays_each_kind_of_exaggeration_is_best_in_some_auction(kind: str) -> None:
    """Where nobody pays, exaggeration pays; which way of exaggerating is best depends on the auction."""
    best = set()
    for number in range(100):
        rng = np.random.default_rng(number)
        rewards = rng.normal(0.0, TAU * 10.0 ** rng.uniform(-1.0, 1.0), (2, int(rng.integers(1, 7))))
        numbers = Numbers(np.zeros(rewards.shape[1]), np.zeros(rewards.shape[1]), rewards, TAU)
        best.add(find_misreport(numbers, 0, free, rng, budget=40 + 80 * (number % 3)).kind)
    assert kind in best


#: What a rule may wrongly charge for: (the report's steps, the truth's steps, the rival's steps) -> a number.
Surcharge = Callable[[Floats, Floats, Floats], float]


@pytest.mark.parametrize(
    ("kind", "surcharge"),
    [
        ("flipped", lambda report, truth, rival: float(np.corrcoef(report, truth)[0, 1])),  # −1: the exact opposite
        ("swapped", lambda report, truth, rival: float(np.abs(report - rival).max() / TAU)),  # 0: the rival's own
    ],
)
def test_each_kind_of_misreport_is_found_where_only_it_is_best(kind: str, surcharge: Surcharge) -> None:
    # Given a rule whose allocation is fixed and whose price grows with how the report looks
    rng = np.random.default_rng(3)
    numbers = Numbers(np.zeros(5), np.zeros(5), rng.normal(0.0, TAU, (2, 5)), TAU)
    honest, (truth, rival) = as_billed(numbers), np.diff(numbers.rewards, axis=1)

    def curious(given: Numbers) -> Priced:
        report = np.diff(given.rewards[0])
        looks = surcharge(report, truth, rival) if report.any() else 1.0
        prices = 100.0 * np.array([looks, 0.0])
        return replace(honest, prices=prices, charges=whole_micros(prices))

    # Then the search finds the one kind of lie that it likes best
    assert find_misreport(numbers, 0, curious, rng).kind == kind


def test_gradient_ascent_finds_a_gain_that_no_listed_misreport_has() -> None:
    """A price that vanishes for reports near one point no list knows: only slopes lead there."""
    target = np.array([300.0, -200.0, 100.0, 50.0])
    numbers = Numbers(np.zeros(4), np.zeros(4), np.array([[100.0, 0.0, 0.0, 0.0]]), TAU)

    def bowl(given: Numbers) -> Priced:
        honest = as_billed(numbers)
        prices = np.array([float(((given.rewards[0] - target) ** 2).sum()) / TAU])
        return replace(honest, prices=prices, charges=whole_micros(prices))

    few = find_misreport(numbers, 0, bowl, np.random.default_rng(0), budget=60)
    many = find_misreport(numbers, 0, bowl, np.random.default_rng(0), budget=600)

    # Honest costs (200² + 200² + 100² + 50²)/1000 = 92.5, at the bottom nothing
    assert many.kind == "ascent"
    assert few.gain_micros < many.gain_micros
    assert many.gain_micros == pytest.approx(92.5, abs=1.0)


def test_a_search_stays_within_its_budget() -> None:
    numbers = Numbers(np.zeros(3), np.zeros(3), np.array([[TAU, 0.0, 5.0], [0.0, 1.0, 2.0]]), TAU)
    calls = 0

    def counted(given: Numbers) -> Priced:
        nonlocal calls
        calls += 1
        return as_billed(given)

    find_misreport(numbers, 0, counted, np.random.default_rng(0), budget=100)

    assert 60 <= calls <= 100 + 4  # the honest auction, and three lies priced once more


def test_the_same_random_generator_finds_the_same_misreport() -> None:
    numbers = Numbers(np.zeros(5), np.zeros(5), np.random.default_rng(1).normal(0.0, TAU, (3, 5)), TAU)

    first, second = (find_misreport(numbers, 1, capped, np.random.default_rng(5)) for _ in range(2))

    assert first == second
