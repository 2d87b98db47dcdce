"""The participation-fee gate: by hand, against a search of all sets, and its theorems (mechanism/README §6)."""

from dataclasses import replace
from itertools import combinations
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.experiments.gates import advert_free, exact_gate, largest_gain, utility, what_joining_brings
from tests.mechanism.auctions import auctions
from workers.experiments.participation_fee import MOST_EXACT, Gated, gate, gated_charge_bound
from workers.mechanism.allocation import InvalidAuction, Numbers, allocate
from workers.mechanism.payments import charge_bound
from workers.truthfulness.margins import scale_micros
from workers.truthfulness.rule import as_billed

MODERATE = settings(max_examples=80, deadline=None)
TAU = 1_000.0
FEES = st.floats(-3.0, 0.5).map(lambda exponent: 10.0**exponent)  # in τ: from next to nothing to more than most pay


def solve(auction: Numbers, fee: float) -> Gated:
    return gate(auction.log_q, auction.log_ref, auction.rewards, auction.tau, fee)


def two_equal_candidates(*rows: list[float]) -> Numbers:
    return Numbers(np.zeros(2), np.zeros(2), np.array(rows, dtype=np.float64).reshape(-1, 2), TAU)


def f(auction: Numbers, members: tuple[int, ...], fee: float) -> float:
    """F(S) in micros, as the docstring writes it."""
    base = advert_free(auction)
    exponents = base.log_pi.copy()
    for member in members:
        row = auction.rewards[member]
        exponents += (row - base.pi @ row) / auction.tau
    return float(auction.tau * np.logaddexp.reduce(exponents) - fee * len(members))


def textbook(auction: Numbers, fee: float) -> dict[tuple[int, ...], float]:
    """F of every set."""
    n = len(auction.rewards)
    return {s: f(auction, s, fee) for size in range(n + 1) for s in combinations(range(n), size)}


def members_of(gated: Gated) -> tuple[int, ...]:
    return tuple(np.flatnonzero(gated.admitted).tolist())


# By hand


def test_one_advertiser_is_admitted_when_its_divergence_covers_the_fee_and_pays_charge_and_fee() -> None:
    # Given the auction of π = (3/4, 1/4) against (1/2, 1/2), which costs τ·KL(π ‖ π₋) = 130.81 micros
    auction = two_equal_candidates([TAU * log(3), 0.0])
    # and in which joining brings τ·KL(π₋ ‖ π) = τ·(1/2·ln(2/3) + 1/2·ln 2) = τ/2·ln(4/3) = 143.84 micros
    brings = TAU / 2 * log(4 / 3)

    cheap, dear = solve(auction, brings - 0.01), solve(auction, brings + 0.01)

    assert (cheap.admitted.tolist(), dear.admitted.tolist()) == ([True], [False])
    assert cheap.charges == pytest.approx([130.812035941137 + brings - 0.01], abs=1e-9)
    assert cheap.allocation.pi == pytest.approx([3 / 4, 1 / 4], abs=1e-15)
    assert dear.charges.tolist() == [0.0]
    assert dear.allocation.pi == pytest.approx([1 / 2, 1 / 2], abs=1e-15)


def test_of_two_opposed_advertisers_the_first_is_admitted_and_pays_the_seconds_loss() -> None:
    # Given wishes of ± τ·ln 3 / 2 around their mean: each alone has F = τ·ln((√3 + 1/√3)/2) − fee = 143.84 − 40
    auction = two_equal_candidates([TAU * log(3), 0.0], [0.0, TAU * log(3)])

    gated = solve(auction, 40.0)

    # Then together they have −2·40, so that one is in, the first of equals: π = (3/4, 1/4)
    assert gated.admitted.tolist() == [True, False]
    # and its charge is π·r − F(S) + F(S₋) = τ·(3/4 − 1/4)·ln 3 / 2, as the other's F is as large as its own
    assert gated.charges == pytest.approx([TAU * log(3) / 4, 0.0], abs=1e-9)
    # which is more than min(Δ, Δ²/8τ) + fee, and no more than Δ + fee
    assert charge_bound(0, 1_099, 1_000) + 40 < gated.charges[0] < gated_charge_bound(0, 1_099, 40)


def test_an_indifferent_advertiser_is_not_admitted_and_an_empty_auction_admits_nobody() -> None:
    assert solve(two_equal_candidates([5.0, 5.0]), 1e-6).admitted.tolist() == [False]

    nobody = solve(two_equal_candidates(), 1.0)

    assert (nobody.admitted.tolist(), nobody.charges.tolist(), nobody.exact) == ([], [], True)
    assert nobody.allocation.pi == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("fee", [-1.0, float("nan"), float("inf")])
def test_a_fee_is_finite_and_not_negative(fee: float) -> None:
    with pytest.raises(InvalidAuction, match="fee"):
        solve(two_equal_candidates([1.0, 0.0]), fee)


def test_the_gate_refuses_invalid_auctions_as_allocate_does() -> None:
    with pytest.raises(InvalidAuction, match="rewards"):
        gate(np.zeros(2), np.zeros(2), np.zeros((1, 3)), TAU, 1.0)


# Against the textbook


@MODERATE
@given(auctions(advertisers=(0, 5)))
def test_a_fee_of_0_is_the_plain_mechanism(auction: Numbers) -> None:
    gated = solve(auction, 0.0)

    assert gated.admitted.all() and gated.exact
    assert gated.charges.tolist() == as_billed(auction).prices.tolist()
    assert gated.allocation.pi.tolist() == auction.solve().pi.tolist()


@MODERATE
@given(auctions(advertisers=(0, 5)), FEES)
def test_the_gated_charge_is_the_clarke_pivot_of_the_best_of_all_sets(auction: Numbers, fee_in_tau: float) -> None:
    fee = fee_in_tau * auction.tau
    values = textbook(auction, fee)
    tolerance = 1e-10 * (len(auction.rewards) * scale_micros(auction) + 700 * auction.tau)

    gated = solve(auction, fee)

    chosen = members_of(gated)
    assert values[chosen] == pytest.approx(max(values.values()), abs=tolerance)
    alone = allocate(auction.log_q, auction.log_ref, auction.rewards[list(chosen)], auction.tau)
    assert gated.allocation.pi.tolist() == alone.pi.tolist()
    base = advert_free(auction).pi
    for advertiser, charge in enumerate(gated.charges):
        without = max(value for members, value in values.items() if advertiser not in members)
        reward = float((alone.pi - base) @ auction.rewards[advertiser])
        expected = reward - values[chosen] + without if advertiser in chosen else 0.0
        assert charge == pytest.approx(expected, abs=tolerance)


@MODERATE
@given(auctions(candidates=(2, 24), advertisers=(1, 1)), FEES)
def test_one_advertiser_is_admitted_exactly_when_its_divergence_covers_the_fee(
    auction: Numbers, fee_in_tau: float
) -> None:
    fee = fee_in_tau * auction.tau
    (brings,) = what_joining_brings(auction)

    gated = solve(auction, fee)

    if abs(brings - fee) > 1e-9 * scale_micros(auction):
        assert gated.admitted[0] == (brings > fee)
    if gated.admitted[0]:
        assert gated.charges[0] == pytest.approx(as_billed(auction).prices[0] + fee, abs=1e-10 * scale_micros(auction))


@MODERATE
@given(auctions(advertisers=(1, 4)), FEES, st.integers(-(10**6), 10**6))
def test_a_constant_on_top_of_rewards_changes_nobodys_admission_or_charge(
    auction: Numbers, fee_in_tau: float, constant: int
) -> None:
    fee = fee_in_tau * auction.tau
    shifted = replace(auction, rewards=auction.rewards + float(constant))
    values = sorted(textbook(auction, fee).values())
    scale = scale_micros(auction) + abs(constant)

    if len(values) == 1 or values[-1] - values[-2] > 1e-6 * scale:  # a tie may fall either way
        assert solve(shifted, fee).admitted.tolist() == solve(auction, fee).admitted.tolist()
        assert solve(shifted, fee).charges == pytest.approx(solve(auction, fee).charges, abs=1e-8 * scale)


# Theorems


def the_bounds_hold(auction: Numbers, gated: Gated, fee: float) -> None:
    """fee + τ·KL ≤ p ≤ Δ + fee; where the charge is the plain one plus the fee, min(Δ, Δ²/8τ) + fee too."""
    dust = 1e-9 * (scale_micros(auction) + fee)
    plain = auction.tau * gated.allocation.influence
    for row, charge, own in zip(auction.rewards[gated.admitted], gated.charges[gated.admitted], plain, strict=True):
        spread = float(row.max() - row.min())
        assert own + fee - dust <= charge <= spread + fee + dust
        if charge == own + fee:  # S₋ᵢ = S∖i
            assert charge <= min(spread, spread**2 / (8 * auction.tau)) + fee + dust
    assert (gated.charges[~gated.admitted] == 0.0).all()


@MODERATE
@given(auctions(advertisers=(1, 6)), FEES)
def test_a_gated_charge_lies_between_its_bounds(auction: Numbers, fee_in_tau: float) -> None:
    fee = fee_in_tau * auction.tau

    the_bounds_hold(auction, solve(auction, fee), fee)


def test_the_gated_charge_bound_is_the_spread_plus_the_fee_in_whole_micros() -> None:
    assert gated_charge_bound(-300, 700, 25) == 1_025
    assert type(gated_charge_bound(-300, 700, 25)) is int


@MODERATE
@given(auctions(advertisers=(1, 5)), FEES)
def test_taking_part_is_never_worse_than_the_advert_free_reply(auction: Numbers, fee_in_tau: float) -> None:
    fee = fee_in_tau * auction.tau
    base = advert_free(auction).pi

    for advertiser, reward in enumerate(auction.rewards):
        assert utility(exact_gate, auction, fee, advertiser, reward) >= base @ reward - 1e-9 * (
            scale_micros(auction) + fee
        )


@MODERATE
@given(auctions(candidates=(2, 8), advertisers=(1, 4)), FEES, st.integers(0, 2**32 - 1))
def test_no_misreport_gains_behind_the_gate_when_absence_is_worth_the_advert_free_reply(
    auction: Numbers, fee_in_tau: float, seed: int
) -> None:
    fee = fee_in_tau * auction.tau

    gain = largest_gain(exact_gate, auction, fee, np.random.default_rng(seed))

    assert gain <= 1e-9 * (30 * scale_micros(auction) + fee)  # the largest lie is 30 times the truth


# Beyond ten advertisers


def many(seed: int, n: int = MOST_EXACT + 2, m: int = 6) -> Numbers:
    rng = np.random.default_rng(seed)
    return Numbers(np.zeros(m), rng.normal(size=m), rng.normal(0.0, TAU, (n, m)), TAU)


@settings(max_examples=25, deadline=None)
@given(auctions(candidates=(2, 8), advertisers=(MOST_EXACT + 1, 24)), FEES)
def test_a_greedy_set_cannot_be_bettered_by_one_move_and_its_charges_are_bounded(
    auction: Numbers, fee_in_tau: float
) -> None:
    fee = fee_in_tau * auction.tau

    gated = solve(auction, fee)

    assert not gated.exact
    the_bounds_hold(auction, gated, fee)
    chosen = set(members_of(gated))
    value = f(auction, tuple(sorted(chosen)), fee)
    tolerance = 1e-9 * (len(auction.rewards) * scale_micros(auction) + 700 * auction.tau)
    for advertiser in range(len(auction.rewards)):
        assert f(auction, tuple(sorted(chosen ^ {advertiser})), fee) <= value + tolerance


def test_greedy_search_seldom_misses_the_best_set() -> None:
    # Given twelve advertisers, few enough to try all 4096 sets once
    missed = 0
    for seed in range(20):
        auction = many(seed)
        base = advert_free(auction)
        sets = (np.arange(2**12)[:, None] >> np.arange(12)) & 1
        exponents = base.log_pi + sets @ (auction.rewards - (auction.rewards @ base.pi)[:, None]) / TAU
        best = (TAU * np.logaddexp.reduce(exponents, axis=1) - 100.0 * sets.sum(axis=1)).max()

        found = f(auction, members_of(solve(auction, 100.0)), 100.0)

        assert found <= best + 1e-6
        missed += found < best - 1e-6
    # Then nearly every time the greedy one is the best
    assert missed <= 6


@pytest.mark.parametrize("half", [MOST_EXACT // 2, MOST_EXACT // 2 + 1])
def test_of_two_equal_opposed_groups_exactly_one_is_admitted(half: int) -> None:
    # Given as many that wish the first reply as the second: either camp alone is the best set
    first, second = [TAU * log(3), 0.0], [0.0, TAU * log(3)]
    auction = two_equal_candidates(*[first] * half, *[second] * half)

    gated = solve(auction, 100.0)

    # Then one camp is in, the first where all sets are tried
    camps = [[True] * half + [False] * half, [False] * half + [True] * half]
    assert gated.exact == (2 * half <= MOST_EXACT)
    assert gated.admitted.tolist() in (camps[:1] if gated.exact else camps)
