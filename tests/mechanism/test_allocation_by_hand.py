"""Auctions small enough for paper: every number below was worked out by hand."""

from math import log

import numpy as np
import pytest

from workers.mechanism.allocation import Allocation, Numbers, allocate
from workers.mechanism.payments import charge_bound, offset, whole_micros

TAU = 1_000


def numbers(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float64)


def charged(allocation: Allocation, tau: float) -> tuple[int, ...]:
    """What is billed; of an auction's numbers the offset rule reads only τ."""
    none = np.zeros(0)
    return whole_micros(offset(Numbers(none, none, none, tau), allocation, 0))


def test_allocation_and_charge_of_one_advertiser_and_two_candidates_worked_out_by_hand() -> None:
    # Given two candidates drawn from the reference model itself: w = log_ref - log_q = (0, 0)
    log_q = log_ref = np.array([-1.0, -4.0])
    # and an advertiser to whom the first is worth τ·ln 3 micros, the second nothing
    rewards = numbers([TAU * log(3), 0.0])

    allocation = allocate(log_q, log_ref, rewards, TAU)

    # Then S = (ln 3, 0), exp(S) = (3, 1): π = (3/4, 1/4)
    assert allocation.pi == pytest.approx([3 / 4, 1 / 4], abs=1e-15)
    # and without the advertiser S = (0, 0): π₋ = (1/2, 1/2)
    assert np.exp(allocation.log_pi_without[0]) == pytest.approx([1 / 2, 1 / 2], abs=1e-15)
    # and p = τ·(3/4·ln(3/2) + 1/4·ln(1/2)) = τ·(0.75·0.405465 - 0.25·0.693147) = 130.81 micros
    assert charged(allocation, TAU) == (131,)
    assert TAU * allocation.influence[0] == pytest.approx(130.812035941137, abs=1e-9)
    # and ESS = 1/(9/16 + 1/16) = 1.6 of 2 candidates
    assert allocation.effective_sample_size == pytest.approx(1.6, abs=1e-12)


def test_the_importance_weight_takes_back_what_the_context_aware_proposal_added() -> None:
    # Given candidates the proposal likes 4 times more, 2 times more and as much as the reference: w = -(ln 4, ln 2, 0)
    log_q = np.array([log(0.4), log(0.2), log(0.1)])
    log_ref = np.array([log(0.1), log(0.1), log(0.1)])
    # and an advertiser that values the first at τ·ln 8 and the second at τ·ln 2
    rewards = numbers([TAU * log(8), TAU * log(2), 0.0])

    allocation = allocate(log_q, log_ref, rewards, TAU)

    # Then exp(S) = (8/4, 2/2, 1) = (2, 1, 1): π = (1/2, 1/4, 1/4)
    assert allocation.pi == pytest.approx([1 / 2, 1 / 4, 1 / 4], abs=1e-15)
    # and without it (1/4, 1/2, 1): π₋ = (1/7, 2/7, 4/7)
    assert np.exp(allocation.log_pi_without[0]) == pytest.approx([1 / 7, 2 / 7, 4 / 7], abs=1e-15)
    # and p = τ·(1/2·ln(7/2) + 1/4·ln(7/8) + 1/4·ln(7/16)) = τ·(.626381 - .033383 - .206670) = 386.33 micros
    assert charged(allocation, TAU) == (386,)


def test_two_opposed_advertisers_leave_the_distribution_as_it_is_and_both_pay() -> None:
    # Given one that wants the first reply and one that wants the second, each for τ·ln 2
    rewards = numbers([TAU * log(2), 0.0], [0.0, TAU * log(2)])

    allocation = allocate(np.zeros(2), np.zeros(2), rewards, TAU)

    # Then S = (ln 2, ln 2): π = (1/2, 1/2), as if nobody had bid
    assert allocation.pi == pytest.approx([1 / 2, 1 / 2], abs=1e-15)
    # but without the first it were (1, 2)/3, without the second (2, 1)/3
    assert np.exp(allocation.log_pi_without) == pytest.approx(numbers([1 / 3, 2 / 3], [2 / 3, 1 / 3]), abs=1e-15)
    # so each pays τ·(1/2·ln(3/2) + 1/2·ln(3/4)) = τ/2·ln(9/8) = 58.89 micros
    assert charged(allocation, TAU) == (59, 59)


def test_two_aligned_advertisers_each_pay_less_than_one_alone_would() -> None:
    # Given the same wish, τ·ln 2 for the first reply, once and twice
    wish = [TAU * log(2), 0.0]

    alone = allocate(np.zeros(2), np.zeros(2), numbers(wish), TAU)
    both = allocate(np.zeros(2), np.zeros(2), numbers(wish, wish), TAU)

    # Then alone: π = (2, 1)/3 against (1, 1)/2: τ·(2/3·ln(4/3) + 1/3·ln(2/3)) = 191.79 - 135.16 = 56.63
    assert charged(alone, TAU) == (57,)
    # and both: π = (4, 1)/5 against (2, 1)/3: τ·(4/5·ln(6/5) + 1/5·ln(3/5)) = 145.86 - 102.17 = 43.69
    assert charged(both, TAU) == (44, 44)


def test_a_bid_that_decides_everything_pays_tau_times_the_log_of_the_odds_it_changed() -> None:
    # Given four equal candidates and a bid of a thousand million nats for the third: π = (0, 0, 1, 0), π₋ = 1/4 each
    rewards = numbers([0.0, 0.0, 1e9 * TAU, 0.0])

    allocation = allocate(np.zeros(4), np.zeros(4), rewards, TAU)

    assert allocation.pi.tolist() == [0.0, 0.0, 1.0, 0.0]
    assert charged(allocation, TAU) == (1386,)  # τ·ln 4 = 1386.29, however large the bid


def test_a_candidate_impossible_under_the_reference_model_is_never_the_reply() -> None:
    # Given a second candidate with π_ref = 0 for which the advertiser would pay anything
    rewards = numbers([0.0, 1e12, TAU * log(3)])

    allocation = allocate(np.zeros(3), np.array([0.0, -np.inf, 0.0]), rewards, TAU)

    # Then exp(S) = (1, 0, 3): π = (1/4, 0, 3/4) and the charge is that of the auction of the other two
    assert allocation.pi == pytest.approx([1 / 4, 0.0, 3 / 4], abs=1e-15)
    assert charged(allocation, TAU) == (131,)


@pytest.mark.parametrize("constant", [0.0, 1.0, -7.25, 1e15, 1 / 3])
def test_an_indifferent_advertiser_pays_exactly_nothing(constant: float) -> None:
    rewards = numbers([constant] * 5, [0.0, 700.0, -300.0, 20.0, 1_100.0])

    allocation = allocate(np.linspace(-5.0, 0.0, 5), np.linspace(0.0, -3.0, 5), rewards, TAU)

    assert allocation.influence[0] == 0.0
    assert charged(allocation, TAU)[0] == 0 < charged(allocation, TAU)[1]


def test_with_one_candidate_nobody_pays() -> None:
    allocation = allocate(np.array([-3.0]), np.array([-8.0]), numbers([1e9], [-1e9]), TAU)

    assert allocation.pi.tolist() == [1.0]
    assert allocation.influence.tolist() == [0.0, 0.0]
    assert allocation.effective_sample_size == 1.0


def test_with_identical_candidates_nobody_pays() -> None:
    rewards = numbers([123.456] * 7, [-9.87e9] * 7)

    allocation = allocate(np.full(7, -3.3), np.full(7, -2.2), rewards, TAU)

    assert allocation.pi == pytest.approx([1 / 7] * 7, abs=1e-15)
    assert allocation.influence.tolist() == [0.0, 0.0]


def test_without_advertisers_the_allocation_is_the_softmax_of_the_importance_weights() -> None:
    # Given w = (ln 2, 0) and no advertiser
    allocation = allocate(np.array([-1.0, -1.0]), np.array([-1.0 + log(2), -1.0]), np.zeros((0, 2)), TAU)

    # Then π = softmax(w) = (2/3, 1/3) and there is nobody to charge
    assert allocation.pi == pytest.approx([2 / 3, 1 / 3], abs=1e-15)
    assert charged(allocation, TAU) == ()


def test_charges_are_rounded_once_half_to_even() -> None:
    # Given influences that are whole and a half micros after the one multiplication: 1/8 nat times 4, 12, 20, 28
    allocation = Allocation(
        np.zeros(1), np.ones(1), np.zeros((5, 1)), np.array([0.125, 0.375, 0.625, 0.875, 0.8750001])
    )

    assert charged(allocation, 4) == (0, 2, 2, 4, 4)  # from 0.5, 1.5, 2.5, 3.5, 3.5000004
    assert all(type(charge) is int for charge in charged(allocation, 4))


def test_the_charge_bound_is_the_smaller_of_both_terms_rounded_up() -> None:
    assert charge_bound(0, 1_000, 1_000) == 125  # Δ²/8τ = 10⁶/8000
    assert charge_bound(-500, 500, 1_000) == 125  # only the spread counts
    assert charge_bound(0, 1_001, 1_000) == 126  # 125.25 rounded up
    assert charge_bound(0, 1_000, 1) == 1_000  # Δ < Δ²/8τ = 125 000
    assert charge_bound(7, 7, 1) == 0
    assert charge_bound(-5 * 10**14, 5 * 10**14, 1) == 10**15  # the widest range an event can declare
    # exact where a float is not: (4·10¹² + 1)²/(8·10¹²) = 2·10¹² + 1 + 1/(8·10¹²), so one more
    assert charge_bound(0, 4 * 10**12 + 1, 10**12) == 2 * 10**12 + 2
