"""The theorems as properties over many auctions (Theorems and Lemma 1 of the paper; mechanism.md §3)."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mechanism.auctions import Floats, Numbers, auctions
from workers.mechanism.payments import charge_bound, offset

MODERATE = settings(max_examples=80, deadline=None)


def utility(auction: Numbers, advertiser: int, truth: Floats, *, rounded: bool = False) -> float:
    """Expected reward, at the true values, minus charge; micros."""
    allocation = auction.solve()
    exact = auction.tau * allocation.influence[advertiser]
    charge = offset(allocation, auction.tau)[advertiser] if rounded else exact
    return float(allocation.pi @ truth - charge)


def with_report(auction: Numbers, advertiser: int, report: Floats) -> Numbers:
    rewards = auction.rewards.copy()
    rewards[advertiser] = report
    return replace(auction, rewards=rewards)


def divergence(log_p: Floats, log_q: Floats) -> float:
    """KL(p ‖ q) in nats, the textbook sum."""
    possible = np.exp(log_p) > 0
    return float(np.exp(log_p[possible]) @ (log_p[possible] - log_q[possible]))


@MODERATE
@given(auctions())
def test_the_allocation_is_a_distribution(auction: Numbers) -> None:
    allocation = auction.solve()

    for row in (allocation.log_pi, *allocation.log_pi_without):
        assert (row <= 1e-12).all()
        assert np.exp(row).sum() == pytest.approx(1.0, abs=1e-12)
    assert 1.0 - 1e-9 <= allocation.effective_sample_size <= len(auction.log_q) + 1e-9


@MODERATE
@given(auctions(advertisers=(1, 5)))
def test_without_is_the_auction_held_without_the_advertiser(auction: Numbers) -> None:
    allocation = auction.solve()

    for advertiser in range(len(auction.rewards)):
        absent = replace(auction, rewards=np.delete(auction.rewards, advertiser, axis=0)).solve()
        assert np.exp(allocation.log_pi_without[advertiser]) == pytest.approx(absent.pi, abs=1e-9)


@MODERATE
@given(auctions(advertisers=(1, 6)))
def test_nobody_is_ever_paid(auction: Numbers) -> None:
    assert (auction.charges >= 0).all()
    assert min(offset(auction.solve(), auction.tau)) >= 0


@MODERATE
@given(auctions(candidates=(2, 24), advertisers=(1, 5)))
def test_the_charge_is_tau_times_the_divergence(auction: Numbers) -> None:
    allocation = auction.solve()

    for charge, without in zip(auction.charges, allocation.log_pi_without, strict=True):
        expected = auction.tau * divergence(allocation.log_pi, without)
        assert charge == pytest.approx(expected, abs=1e-11 * auction.scale)


@MODERATE
@given(auctions(advertisers=(1, 5)))
def test_lemma_1(auction: Numbers) -> None:
    """Expected reward minus charge = τ·log Σ π₋ᵢ exp(rᵢ/τ)."""
    allocation = auction.solve()

    for advertiser, reward in enumerate(auction.rewards):
        exponents = allocation.log_pi_without[advertiser] + reward / auction.tau
        expected = auction.tau * np.logaddexp.reduce(exponents)
        assert utility(auction, advertiser, reward) == pytest.approx(expected, abs=1e-11 * auction.scale)


@MODERATE
@given(auctions(candidates=(2, 24), advertisers=(1, 5)))
def test_what_joining_brings_is_the_charge_and_a_gain(auction: Numbers) -> None:
    """Δ expected reward = p + gain = τ·(KL(π‖π₋) + KL(π₋‖π)), so that joining never hurts."""
    allocation = auction.solve()

    for advertiser, reward in enumerate(auction.rewards):
        log_without = allocation.log_pi_without[advertiser]
        difference = float((allocation.pi - np.exp(log_without)) @ reward)
        gain = auction.tau * divergence(log_without, allocation.log_pi)
        assert gain >= -1e-11 * auction.scale
        assert difference == pytest.approx(auction.charges[advertiser] + gain, abs=1e-10 * auction.scale)


def lies(truth: Floats, tau: float, rng: np.random.Generator) -> list[Floats]:
    """Reports an advertiser might try instead of the truth."""
    size, best = np.abs(truth).max() + tau, int(truth.argmax())
    scaled = [factor * truth for factor in (-1.0, 0.0, 0.5, 0.9, 0.99, 1.01, 1.1, 2.0, 10.0)]
    noisy = [truth + width * size * rng.normal(size=len(truth)) for width in (1e-4, 1e-2, 0.1, 1.0, 3.0)]
    one_hot = [size * height * np.eye(len(truth))[best] for height in (0.1, 1.0, 10.0)]
    return [*scaled, *noisy, *one_hot, np.maximum(truth, 0.0), np.roll(truth, 1), truth**2 / size]


@MODERATE
@given(auctions(candidates=(2, 12), advertisers=(1, 4)), st.integers(0, 2**32 - 1))
def test_no_lie_pays(auction: Numbers, seed: int) -> None:
    rng = np.random.default_rng(seed)
    advertiser = int(rng.integers(len(auction.rewards)))
    truth = auction.rewards[advertiser]
    honest = utility(auction, advertiser, truth)
    honest_in_whole_micros = utility(auction, advertiser, truth, rounded=True)

    for lie in lies(truth, auction.tau, rng):
        lied = with_report(auction, advertiser, lie)
        scale = max(auction.scale, lied.scale)
        assert utility(lied, advertiser, truth) - honest <= 1e-9 * scale
        gain = utility(lied, advertiser, truth, rounded=True) - honest_in_whole_micros
        assert gain <= 1.0 + 1e-9 * scale


@settings(max_examples=25, deadline=None)
@given(auctions(candidates=(2, 5), advertisers=(1, 3), nats_exponents=(-1.0, 0.7)))
def test_no_small_step_away_from_the_truth_pays(auction: Numbers) -> None:
    """Honesty is a stationary point: lies of ± a thousandth of a nat on one candidate gain nothing to first order."""
    truth, step = auction.rewards[0], 1e-3 * auction.tau
    honest = utility(auction, 0, truth)

    for direction in np.eye(len(truth)):
        for sign in (-1, 1):
            lied = with_report(auction, 0, truth + sign * step * direction)
            assert utility(lied, 0, truth) - honest <= 1e-10 * auction.scale
            assert honest - utility(lied, 0, truth) <= auction.tau * 1e-6  # step² in nats, times τ


@MODERATE
@given(auctions(advertisers=(1, 5)))
def test_the_bound_is_never_exceeded(auction: Numbers) -> None:
    tau = max(1, round(auction.tau))
    charges = offset(replace(auction, tau=float(tau)).solve(), float(tau))

    for charge, reward in zip(charges, auction.rewards, strict=True):
        bound = charge_bound(int(np.floor(reward.min())), int(np.ceil(reward.max())), tau)
        assert type(bound) is int
        assert charge <= bound


@given(st.integers(-(10**15), 10**15), st.integers(0, 10**15), st.integers(1, 10**12))
def test_the_bound_is_rounded_up_by_less_than_one(least: int, spread: int, tau: int) -> None:
    bound = charge_bound(least, least + spread, tau)

    assert bound == spread or 0 <= bound * 8 * tau - spread * spread < 8 * tau
    assert bound <= spread


@MODERATE
@given(auctions(advertisers=(1, 5)), st.floats(-1e3, 1e3))
def test_a_constant_on_top_changes_nothing(auction: Numbers, nats: float) -> None:
    shifted = replace(auction, rewards=auction.rewards + nats * auction.tau)

    assert shifted.solve().pi == pytest.approx(auction.solve().pi, abs=1e-9)
    assert shifted.charges == pytest.approx(auction.charges, abs=1e-9 * auction.scale)


@MODERATE
@given(auctions(candidates=(2, 24), advertisers=(1, 5)), st.integers(0, 2**32 - 1))
def test_the_order_does_not_matter(auction: Numbers, seed: int) -> None:
    rng = np.random.default_rng(seed)
    js, is_ = rng.permutation(len(auction.log_q)), rng.permutation(len(auction.rewards))
    other = Numbers(auction.log_q[js], auction.log_ref[js], auction.rewards[is_][:, js], auction.tau)

    assert other.solve().pi == pytest.approx(auction.solve().pi[js], abs=1e-10)
    assert other.charges == pytest.approx(auction.charges[is_], abs=1e-10 * auction.scale)


@MODERATE
@given(auctions(), st.sampled_from([1e-3, 0.5, 3.0, 1e4]))
def test_money_has_no_unit(auction: Numbers, factor: float) -> None:
    scaled = replace(auction, rewards=factor * auction.rewards, tau=factor * auction.tau)

    assert scaled.solve().pi == pytest.approx(auction.solve().pi, abs=1e-10)
    assert scaled.charges == pytest.approx(factor * auction.charges, abs=1e-10 * scaled.scale)


@MODERATE
@given(auctions(advertisers=(1, 5)))
def test_a_duplicate_counts_as_one_candidate_of_twice_the_weight(auction: Numbers) -> None:
    def twice(numbers: Floats) -> Floats:
        return np.concatenate([numbers, numbers[..., :1]], axis=-1)

    kept = Numbers(twice(auction.log_q), twice(auction.log_ref), twice(auction.rewards), auction.tau)
    heavier = auction.log_ref.copy()
    heavier[0] += np.log(2.0)
    merged = replace(auction, log_ref=heavier)

    pi = kept.solve().pi
    assert pi[0] == pi[-1]
    assert np.append(pi[0] + pi[-1], pi[1:-1]) == pytest.approx(merged.solve().pi, abs=1e-10)
    assert kept.charges == pytest.approx(merged.charges, abs=1e-10 * auction.scale)


@MODERATE
@given(auctions(advertisers=(1, 5)))
def test_what_is_never_negative_leaves_no_loss(auction: Numbers) -> None:
    """Almost individual rationality: rewards ≥ 0 give a utility ≥ 0."""
    liked = replace(auction, rewards=np.abs(auction.rewards))

    for advertiser, reward in enumerate(liked.rewards):
        assert utility(liked, advertiser, reward) >= -1e-10 * auction.scale
