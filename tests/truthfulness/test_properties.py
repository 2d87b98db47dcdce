"""The theorems over many auctions, through the table that `tessera prove` uses (mechanism/README §5)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mechanism.auctions import auctions
from workers.mechanism.allocation import Numbers
from workers.mechanism.payments import charge_bound
from workers.truthfulness.margins import scale_micros
from workers.truthfulness.properties import LIE, PROPERTIES, ROW, lie_tolerance, row_tolerance
from workers.truthfulness.rule import as_billed, in_expectation, with_report
from workers.truthfulness.trials import run, tally

SEEDS = st.integers(0, 2**32 - 1)
MODERATE = settings(max_examples=80, deadline=None)


def assert_holds(name: str, auction: Numbers, seed: int) -> None:
    if PROPERTIES[name].applies(auction):
        finding = PROPERTIES[name].check(auction, as_billed, np.random.default_rng(seed))
        assert not finding.violated, finding


@pytest.mark.parametrize("name", PROPERTIES)
@MODERATE
@given(auctions(), SEEDS)
def test_every_property_holds_for_auctions_of_practical_size(name: str, auction: Numbers, seed: int) -> None:
    assert_holds(name, auction, seed)


@pytest.mark.parametrize("name", PROPERTIES)
@settings(max_examples=25, deadline=None)
@given(auctions(candidates=(1, 256), advertisers=(0, 64), tau_exponents=(-1.0, 8.0), nats_exponents=(-4.0, 6.0)), SEEDS)
def test_every_property_holds_at_every_shape_and_scale(name: str, auction: Numbers, seed: int) -> None:
    assert_holds(name, auction, seed)


@settings(max_examples=25, deadline=None)
@given(auctions(candidates=(2, 5), advertisers=(1, 3), nats_exponents=(-1.0, 0.7)))
def test_no_small_deviation_from_the_true_rewards_pays(auction: Numbers) -> None:
    """Honesty is a stationary point: lies of ± a thousandth of a nat on one candidate gain nothing to first order."""
    truth, step = auction.rewards[0], 1e-3 * auction.tau

    def utility(report: np.ndarray) -> float:
        priced = as_billed(with_report(auction, 0, report))
        return float(priced.allocation.pi @ truth - priced.prices[0])

    for direction in np.eye(len(truth)):
        for sign in (-1, 1):
            lost = utility(truth) - utility(truth + sign * step * direction)
            assert -1e-10 * (scale_micros(auction) + abs(truth).max()) <= lost <= auction.tau * 1e-6  # step², times τ


@MODERATE
@given(auctions(advertisers=(1, 5)), st.integers(1, 10**6))
def test_no_charge_exceeds_the_bound_computed_before_rewards_are_known(auction: Numbers, tau: int) -> None:
    numbers = Numbers(auction.log_q, auction.log_ref, auction.rewards, float(tau))

    for charge, reward in zip(as_billed(numbers).charges, auction.rewards, strict=True):
        bound = charge_bound(int(np.floor(reward.min())), int(np.ceil(reward.max())), tau)
        assert type(bound) is int
        assert charge <= bound


@given(st.integers(-(10**15), 10**15), st.integers(0, 10**15), st.integers(1, 10**12))
def test_the_charge_bound_is_rounded_up_by_less_than_one_micro(least: int, spread: int, tau: int) -> None:
    bound = charge_bound(least, least + spread, tau)

    assert bound == spread or 0 <= bound * 8 * tau - spread * spread < 8 * tau
    assert bound <= spread


@settings(max_examples=40, deadline=None)
@given(auctions(candidates=(1, 12), advertisers=(1, 4)))
def test_the_outcome_rule_charges_the_offset_on_average(auction: Numbers) -> None:
    average = in_expectation("outcome")(auction).prices

    assert average == pytest.approx(as_billed(auction).prices, abs=row_tolerance(auction))


def test_tolerances_are_1e_12_for_ordinary_bids_and_the_float64_error_bound_elsewhere() -> None:
    log, rewards = np.full(20, -20.0), np.array([[0.0, *[1.0] * 19], [0.0] * 20])

    def shares(nats: float) -> tuple[float, float]:
        numbers = Numbers(log, log, nats * rewards, 1.0)
        return row_tolerance(numbers) / scale_micros(numbers), lie_tolerance(numbers) / scale_micros(numbers)

    assert shares(100.0) == pytest.approx((ROW, LIE))
    assert shares(1e6)[0] == pytest.approx(3.2e-9, rel=0.05)  # (2 + 4.3 + 8)·2.2e-16·10⁶
    assert shares(1e6)[1] == pytest.approx(121 * 3.2e-9, rel=0.05)


def test_a_random_auction_depends_on_its_number_and_the_seed_alone() -> None:
    numbers = range(40, 60)
    together = tally(numbers, run(numbers, 7, as_billed))
    alone = [tally([number], run([number], 7, as_billed)) for number in numbers]

    for row, parts in zip(together, zip(*alone, strict=True), strict=True):
        assert row.checked == sum(part.checked for part in parts)
        assert row.worst == max(
            (part.worst for part in parts if part.worst), key=lambda worst: (worst.share, worst.margin)
        )


@pytest.mark.slow
def test_200_000_random_auctions_violate_no_property() -> None:
    numbers = range(200_000)

    rows = tally(numbers, run(numbers, 1, as_billed))

    assert [row for row in rows if row.violations] == []
    assert min(row.checked for row in rows) > 150_000
