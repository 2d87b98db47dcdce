"""The law of the drawn reply: the exact one against auctions by hand, `allocate` against the exact one, the rate."""

from functools import cache
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.experiments.convergence import Point, fit_slope, measure_point, run, slopes
from workers.experiments.law import BLOCKS, Measured, exact_law, leading_constant, measure_law
from workers.experiments.market import PROPOSALS, Proposal, make_market, total_variation
from workers.mechanism.allocation import Floats, allocate

AUCTIONS = 2_000
SEEDS = st.integers(0, 2**32 - 1)


def nothing() -> None:
    """No progress to show."""


def logs(probabilities: list[float]) -> Floats:
    return np.log(np.array(probabilities))


@cache
def measured(market_seed: int, proposal: Proposal, candidates: int) -> Measured:
    """The mean of many allocations; two tests look at the same ones."""
    rng = np.random.default_rng([7, candidates])
    return Measured(np.array(list(measure_law(make_market(market_seed), proposal, candidates, AUCTIONS, rng))))


@pytest.mark.parametrize("candidates", [1, 2, 3, 4])
def test_the_exact_law_is_the_sum_over_all_candidate_lists(candidates: int) -> None:
    # Given a model of three replies, and every list of candidates that can be drawn
    log_q, log_ref, tau = logs([0.5, 0.3, 0.2]), logs([0.7, 0.2, 0.1]), 2.0
    rewards = np.array([[0.0, 1.5, 6.0], [1.0, -2.0, 3.0]])
    scores = log_ref + rewards.sum(axis=0) / tau
    expected = np.zeros(3)
    for drawn in product(range(3), repeat=candidates):
        chosen = list(drawn)
        pi = allocate(log_q[chosen], log_ref[chosen], rewards[:, chosen], tau).pi
        np.add.at(expected, chosen, np.exp(log_q[chosen].sum()) * pi)

    law = exact_law(log_q, scores - np.logaddexp.reduce(scores), candidates)

    assert law == pytest.approx(expected, abs=1e-13)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from(PROPOSALS), st.integers(1, 5_000))
def test_the_exact_law_is_a_distribution(seed: int, proposal: Proposal, candidates: int) -> None:
    market = make_market(seed)

    law = exact_law(market.log_proposal(proposal), market.log_target, candidates)

    assert law.min() > 0
    assert law.sum() == pytest.approx(1.0, abs=1e-11)


def test_one_candidate_has_the_law_of_the_proposal() -> None:
    market = make_market(3)

    law = exact_law(market.log_proposal("reference"), market.log_target, 1)

    assert law == pytest.approx(np.exp(market.log_ref), abs=1e-14)


def test_candidates_from_the_target_itself_are_right_at_once() -> None:
    market = make_market(3)

    law = exact_law(market.log_target, market.log_target, 5)

    assert total_variation(law, np.exp(market.log_target)) < 1e-13


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.sampled_from(PROPOSALS))
def test_the_exact_law_tends_to_the_target_about_as_one_over_m(seed: int, proposal: Proposal) -> None:
    market = make_market(seed)
    log_q, target = market.log_proposal(proposal), np.exp(market.log_target)

    distances = [total_variation(exact_law(log_q, market.log_target, 4**power), target) for power in range(11)]

    # Then ever nearer, and in the end M·TV is what the bias's leading term says
    assert (np.diff(distances) < 0).all()
    assert 4**10 * distances[-1] == pytest.approx(leading_constant(log_q, market.log_target), rel=0.01)


@pytest.mark.parametrize("proposal", PROPOSALS)
@pytest.mark.parametrize("candidates", [2, 20, 200, 2_000])
def test_allocate_gives_the_exact_law(proposal: Proposal, candidates: int) -> None:
    # Given the mean of many of its allocations
    market = make_market(1)
    target = np.exp(market.log_target)
    law = exact_law(market.log_proposal(proposal), market.log_target, candidates)

    found = measured(1, proposal, candidates)

    # Then along the exact bias it is as large as the theory says, within four standard errors, and significantly not 0
    signs = np.sign(law - target)
    parts = (found.blocks - target) @ signs / 2
    error = parts.std(ddof=1) / BLOCKS**0.5
    assert abs(parts.mean() - total_variation(law, target)) < 4 * error
    assert parts.mean() > 4 * error


@pytest.mark.parametrize("proposal", PROPOSALS)
def test_with_2000_candidates_the_drawn_reply_has_the_optimal_law(proposal: Proposal) -> None:
    market = make_market(1)
    target = np.exp(market.log_target)
    limit = leading_constant(market.log_proposal(proposal), market.log_target)

    found = measured(1, proposal, 2_000)

    # Then it is no farther than the bias of 2,000 candidates and four times the error of averaging allow
    distance, error = total_variation(found.law, target), found.standard_error(target)
    assert distance < limit / 2_000 + found.noise + 4 * error
    assert distance < 0.005


def test_a_wrong_allocation_is_detected_by_the_same_test() -> None:
    """Rewards at the wrong scale move the law by far more than the bound above allows."""
    market = make_market(1)
    target, log_q = np.exp(market.log_target), market.log_proposal("context_aware")
    scores = market.log_ref + 1.1 * market.rewards.sum(axis=0) / market.tau

    wrong = exact_law(log_q, scores - np.logaddexp.reduce(scores), 2_000)

    assert total_variation(wrong, target) > 0.01


def test_the_control_variate_changes_no_mean_and_reduces_the_noise() -> None:
    """Against the plain mean of the allocations, on the same market."""
    market, candidates = make_market(1), 50
    log_q, rng = market.log_proposal("context_aware"), np.random.default_rng(9)
    plain = np.zeros((BLOCKS, len(market.replies)))
    for block in plain:
        for _ in range(AUCTIONS // BLOCKS):
            drawn = rng.choice(len(log_q), candidates, p=np.exp(log_q))
            pi = allocate(log_q[drawn], market.log_ref[drawn], market.rewards[:, drawn], market.tau).pi
            np.add.at(block, drawn, pi / (AUCTIONS // BLOCKS))

    controlled = measured(1, "context_aware", candidates)

    assert controlled.law.sum() == pytest.approx(1.0, abs=1e-12)
    assert total_variation(controlled.law, Measured(plain).law) < 1.2 * Measured(plain).noise
    assert controlled.noise < 0.5 * Measured(plain).noise


@pytest.mark.parametrize("proposal", PROPOSALS)
def test_measured_distances_fall_as_one_over_m(proposal: Proposal) -> None:
    market, rng = make_market(1), np.random.default_rng(11)

    points = [measure_point(market, proposal, size, AUCTIONS, rng, nothing) for size in (20, 200, 1_000)]

    # Then monotone beyond noise, with the slope of the exact law, which is −1 but for the next order
    for before, after in pairwise(points):
        assert after.measured < before.measured - 2 * (before.error + after.error)
        assert after.welfare_lost < before.welfare_lost
        assert after.reward > before.reward
    exact, found = slopes(points)
    assert abs(found.exponent - exact.exponent) < 4 * found.error
    assert -1.01 < exact.exponent < -0.95


def test_the_context_aware_proposal_converges_faster() -> None:
    market = make_market(1)
    target = np.exp(market.log_target)

    aware, reference = (
        [
            total_variation(exact_law(market.log_proposal(name), market.log_target, size), target)
            for size in (1, 20, 500)
        ]
        for name in PROPOSALS
    )

    assert all(near < far for near, far in zip(aware, reference, strict=True))


def test_the_welfare_lost_is_the_difference_of_welfares() -> None:
    """J = E[Σ r] − τ·KL(π ‖ π_ref), from its definition."""
    market = make_market(2)
    point: Point = measure_point(market, "reference", 3, BLOCKS, np.random.default_rng(0), nothing)

    def welfare(law: Floats) -> float:
        return float(law @ (market.rewards.sum(axis=0) - market.tau * (np.log(law) - market.log_ref)))

    law = exact_law(market.log_ref, market.log_target, 3)
    lost = welfare(np.exp(market.log_target)) - welfare(law)
    assert point.welfare_lost == pytest.approx(lost, rel=1e-9)
    assert lost > 0


def test_a_weighted_slope_is_fitted() -> None:
    sizes = np.array([10.0, 100.0, 1_000.0])

    assert fit_slope(sizes, 3 / sizes, 0.01 / sizes).exponent == pytest.approx(-1.0)
    bent = fit_slope(sizes, np.array([0.3, 0.03, 0.03]), np.array([1e-6, 1e-7, 1.0]))
    assert bent.exponent == pytest.approx(-1.0, abs=1e-3)


def test_the_same_seed_gives_the_same_figure_and_progress_is_reported() -> None:
    steps: list[None] = []

    first = run(4, lambda: steps.append(None), auctions=BLOCKS, sizes=(1, 200, 500))
    again = run(4, nothing, auctions=BLOCKS, sizes=(1, 200, 500))

    assert first == again
    assert len(steps) == BLOCKS * 3 * len(PROPOSALS)


def test_auctions_are_simulated_in_whole_blocks() -> None:
    with pytest.raises(ValueError, match="multiple"):
        next(measure_law(make_market(0), "reference", 2, BLOCKS + 1, np.random.default_rng(0)))
