"""The float64 mechanism against 60-digit decimals and the paper's own formula."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings

from tests.mechanism.auctions import auctions
from tests.mechanism.exact import DIGITS, Exact, solve
from workers.mechanism.allocation import Numbers
from workers.truthfulness.margins import scale_micros
from workers.truthfulness.rule import as_billed

EPSILON = float(np.finfo(np.float64).eps)
ROUNDING = Decimal("0.5")


def exactly(auction: Numbers) -> Exact:
    return solve(auction.log_q.tolist(), auction.log_ref.tolist(), auction.rewards.tolist(), auction.tau)


def assert_charged_exactly(auction: Numbers, tolerance: float = 1e-6) -> None:
    """Charges within rounding and `tolerance` micros; π and π₋ᵢ within 1e-9, or the tolerance in nats."""
    priced, exact = as_billed(auction), exactly(auction)
    allocation = priced.allocation
    slack = max(1e-9, tolerance / auction.tau)
    with localcontext(DIGITS):
        for charge, true in zip(priced.charges, exact.charges, strict=True):
            assert abs(Decimal(charge) - true) <= ROUNDING + Decimal(tolerance)
    assert allocation.pi == pytest.approx(np.array(exact.pi, dtype=np.float64), abs=slack)
    if len(auction.rewards):
        without = np.array(exact.pi_without, dtype=np.float64)
        assert np.exp(allocation.log_pi_without) == pytest.approx(without, abs=slack)


@settings(max_examples=120, deadline=None)
@given(auctions(tau_exponents=(-1.0, 7.0), nats_exponents=(-4.0, 2.0)))
def test_charges_equal_decimal_arithmetic_to_the_micro(auction: Numbers) -> None:
    assert_charged_exactly(auction)


@settings(max_examples=60, deadline=None)
@given(auctions(tau_exponents=(0.0, 3.0), nats_exponents=(2.0, 6.0)))
def test_charges_of_enormous_bids_are_right_to_the_precision_of_the_rewards(auction: Numbers) -> None:
    """Where a reward of many nats decides, its last binary digit is worth more than a micro's millionth."""
    sums = np.abs(auction.rewards).sum(axis=0).max(initial=0.0) / auction.tau + 200.0  # nats; 200 bounds |w|
    spread = np.ptp(auction.rewards, axis=1).max(initial=0.0) if len(auction.rewards) else 0.0

    assert_charged_exactly(auction, 1e-6 + 4 * EPSILON * sums * (spread + auction.tau))


@pytest.mark.parametrize(("candidates", "advertisers"), [(256, 3), (40, 64), (1, 64), (256, 0), (2, 1)])
@pytest.mark.parametrize("size", [0.0, 1_000.0, 1e6])
def test_charges_are_exact_at_the_largest_numbers_an_event_can_hold(
    candidates: int, advertisers: int, size: float
) -> None:
    rng = np.random.default_rng(candidates + advertisers)
    log_q = -rng.exponential(50.0, candidates)
    rewards = rng.uniform(-size, size, (advertisers, candidates))

    assert_charged_exactly(Numbers(log_q, log_q - rng.exponential(3.0, candidates), rewards, 1_000.0))


@pytest.mark.parametrize("constant", [1e9, 1e13, 2e14])
@pytest.mark.parametrize("tau", [1.0, 1_000.0, 1e6])
def test_a_constant_on_every_candidate_loses_no_precision(constant: float, tau: float) -> None:
    """Whole micros on top of a constant any event can hold: no digit is lost in the rewards, so none may be in π."""
    rng = np.random.default_rng(7)
    swing = np.round(rng.uniform(-3.0 * tau, 3.0 * tau, (2, 12)))
    base = np.full(12, -5.0)

    auction = Numbers(base, base - rng.uniform(0.0, 1.0, 12), swing + np.array([[constant], [-constant / 2]]), tau)

    assert_charged_exactly(auction)


@settings(max_examples=60, deadline=None)
@given(auctions())
def test_the_papers_formula_for_the_charge_equals_tau_times_the_divergence(auction: Numbers) -> None:
    """p = π·r − τ·lse(S) + τ·lse(S − r/τ) = τ·KL(π ‖ π₋), both in decimals: the product may use either."""
    exact = exactly(auction)
    with localcontext(DIGITS):
        for charge, without in zip(exact.charges, exact.pi_without, strict=True):
            pairs = zip(exact.pi, without, strict=True)
            divergence = sum((p * (p / q).ln() for p, q in pairs if p), Decimal(0))
            assert abs(Decimal(auction.tau) * divergence - charge) <= Decimal("1e-30") * Decimal(scale_micros(auction))
