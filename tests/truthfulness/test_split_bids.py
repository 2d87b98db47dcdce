"""The watch for split bids: who is suspected, who is not, what was lost, and that it stays bounded."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from workers.mechanism.allocation import Floats, InvalidAuction, allocate
from workers.mechanism.link_groups import group
from workers.truthfulness.split_bids import MIN_AUCTIONS, MIN_COSINE, SplittingWatch

TAU = 1_000.0
Bids = dict[str, Floats]
SEEDS = range(5)


def watched(bids: Callable[[np.random.Generator], Bids], seed: int, auctions: int = MIN_AUCTIONS) -> SplittingWatch:
    rng, watch = np.random.default_rng(seed), SplittingWatch()
    for _ in range(auctions):
        watch.add(bids(rng))
    return watch


def pairs(watch: SplittingWatch) -> list[tuple[str, str]]:
    return sorted(pair.ids for pair in watch.suspects())


def wish(rng: np.random.Generator, candidates: int = 20) -> Floats:
    """What candidates are worth to somebody, far from 0 by what is the same for all: a reply's length, say."""
    return rng.normal(0.0, 2 * TAU, candidates) + rng.normal(0.0, 10 * TAU)


# Who is not suspected


@pytest.mark.parametrize("candidates", [4, 20])
@pytest.mark.parametrize("seed", SEEDS)
def test_independent_advertisers_are_not_suspected_of_split_bids(seed: int, candidates: int) -> None:
    watch = watched(lambda rng: {f"a{i:02}": wish(rng, candidates) for i in range(64)}, seed)

    assert len(watch) == 64 * 63 // 2
    assert watch.suspects() == ()


@pytest.mark.parametrize("candidates", [4, 20])
@pytest.mark.parametrize("seed", SEEDS)
def test_advertisers_that_only_share_a_dislike_of_garbled_replies_are_not_suspected(seed: int, candidates: int) -> None:
    def bids(rng: np.random.Generator) -> Bids:
        garbled = wish(rng, candidates)  # half of everybody's variance
        return {f"a{i:02}": garbled + wish(rng, candidates) for i in range(32)}

    watch = watched(bids, seed)

    assert watch.suspects() == ()
    assert np.mean([pair.cosine for pair in watch.suspects(min_cosine=-1.0)]) > 0.5  # so near are they all the same


def test_opposed_advertisers_are_not_suspected() -> None:
    def bids(rng: np.random.Generator) -> Bids:
        x = wish(rng)
        return {"for": x, "against": -x}

    assert watched(bids, 0).suspects() == ()


def test_copies_with_too_few_shared_auctions_are_not_suspected() -> None:
    def bids(rng: np.random.Generator) -> Bids:
        x = wish(rng)
        return {"one": x, "two": 2 * x}

    assert watched(bids, 0, MIN_AUCTIONS - 1).suspects() == ()
    assert pairs(watched(bids, 0, MIN_AUCTIONS)) == [("one", "two")]


def test_an_indifferent_advertiser_shares_nothing_with_anybody() -> None:
    watch = watched(lambda rng: {"flat": np.full(20, 1e15 / 3), "also-flat": np.full(20, -7.7), "one": wish(rng)}, 0)

    assert len(watch) == 0


# Who is suspected


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("seed", SEEDS)
def test_equal_parts_of_one_bid_are_suspected(seed: int, k: int) -> None:
    def bids(rng: np.random.Generator) -> Bids:
        x = wish(rng)
        return {**{f"part-{i}": x / k for i in range(k)}, "honest": wish(rng), "sincere": wish(rng)}

    watch = watched(bids, seed)

    assert pairs(watch) == [(f"part-{i}", f"part-{j}") for i in range(k) for j in range(i + 1, k)]
    assert all(pair.cosine > 1 - 1e-12 for pair in watch.suspects())
    assert all(pair.size_ratio == pytest.approx(1.0, abs=1e-9) for pair in watch.suspects())


@pytest.mark.parametrize("seed", SEEDS)
def test_scaled_copies_with_noise_are_suspected(seed: int) -> None:
    def bids(rng: np.random.Generator) -> Bids:
        x = wish(rng)
        noise = 0.05 * 2 * TAU
        return {
            "big": 4 * (x + rng.normal(0.0, noise, 20)),
            "honest": wish(rng),
            "small": x + rng.normal(0.0, noise, 20),
        }

    (pair,) = watched(bids, seed).suspects()

    assert pair.ids == ("big", "small")
    assert MIN_COSINE < 0.99 < pair.cosine < 1.0
    assert pair.size_ratio == pytest.approx(4.0, rel=0.02)
    assert pair.auctions == MIN_AUCTIONS


@pytest.mark.parametrize("seed", SEEDS)
def test_parts_of_one_bid_divided_anew_in_each_auction_are_suspected(seed: int) -> None:
    sums = np.zeros(3)

    def bids(rng: np.random.Generator) -> Bids:
        x, part = wish(rng), rng.random()
        sums[:] += part * (1 - part), part**2, (1 - part) ** 2
        return {"one": part * x, "two": (1 - part) * x, "honest": wish(rng)}

    watch = watched(bids, seed)

    assert pairs(watch) == [("one", "two")]
    assert sums[0] / np.sqrt(sums[1] * sums[2]) < 0.9  # the cosine of all auctions as one long vector does not see it


def test_auctions_with_little_at_stake_do_not_hide_the_parts_of_one_bid() -> None:
    # Given a pair that splits where much is at stake, and reports noise where a thousandth is
    numbers = np.random.default_rng(0)
    watch = SplittingWatch()
    for auction in range(40):
        x, y = wish(numbers), wish(numbers)
        watch.add({"one": x, "two": x} if auction % 2 else {"one": x / 1_000, "two": y / 1_000})

    assert pairs(watch) == [("one", "two")]


# What was lost


def settled(rng: np.random.Generator, k: int) -> Iterator[tuple[Bids, Floats, Floats]]:
    """Auctions with one bid in k equal parts and one other: rewards by id, log π, and charges."""
    for _ in range(MIN_AUCTIONS):
        x, log_ref = wish(rng), rng.normal(size=20)
        bids = {**{f"part-{i}": x / k for i in range(k)}, "rival": wish(rng)}
        allocation = allocate(np.zeros(20), log_ref, np.array(list(bids.values())), TAU)
        grouped = group(np.array(list(bids.values())), [*("one party" for _ in range(k)), "rival"])
        whole = allocate(np.zeros(20), log_ref, grouped.rewards, TAU)
        yield bids, allocation.log_pi, TAU * np.array([allocation.influence[:k].sum(), whole.influence[0]])


def test_the_loss_of_a_pair_is_what_it_would_have_paid_more_as_one_link_group() -> None:
    watch, paid = SplittingWatch(), np.zeros(2)
    for bids, log_pi, charges in settled(np.random.default_rng(0), 2):
        watch.add(bids, log_pi, TAU)
        paid += charges

    (pair,) = watch.suspects()

    as_two, as_one = paid
    assert pair.lost_micros == pytest.approx(as_one - as_two, rel=1e-9)
    assert pair.lost_micros > 0.3 * as_one


def test_suspected_pairs_are_sorted_by_greatest_loss() -> None:
    watch = SplittingWatch()
    for bids, log_pi, _ in settled(np.random.default_rng(0), 3):
        watch.add(bids, log_pi, TAU)

    lost = [pair.lost_micros for pair in watch.suspects(min_cosine=-1.0)]

    assert lost == sorted(lost, reverse=True)
    assert {pair.ids[1][:4] for pair in watch.suspects(min_cosine=-1.0)[:3]} == {"part"}


def test_without_an_allocation_the_loss_of_a_pair_is_0() -> None:
    watch = watched(lambda rng: {"one": (x := wish(rng)), "two": x}, 0)

    assert [pair.lost_micros for pair in watch.suspects()] == [0.0]


def test_a_candidate_impossible_under_the_reference_model_adds_no_loss() -> None:
    # Given four candidates, of which only the second is possible: no bid changes the reply
    watch, x = SplittingWatch(), np.array([3.0, 1.0, 2.0, 0.0])
    watch.add({"one": x, "two": x}, np.array([-np.inf, 0.0, -np.inf, -np.inf]), 1.0)

    assert [pair.lost_micros for pair in watch.suspects(min_auctions=1)] == [0.0]


# Bounds and bad input


def test_the_split_bid_watch_keeps_a_limited_number_of_pairs_and_counts_the_evicted() -> None:
    # Given room for eight pairs, one pair of every auction, and passers-by that come once
    rng, watch = np.random.default_rng(0), SplittingWatch(most_pairs=8)
    for auction in range(MIN_AUCTIONS):
        x = wish(rng)
        watch.add({"one": x, "two": 3 * x, f"passer-by-{auction}": wish(rng)})
        assert len(watch) <= 8

    # Then the frequent pair has stayed
    assert pairs(watch) == [("one", "two")]
    assert watch.suspects()[0].auctions == watch.auctions == MIN_AUCTIONS
    # and each pair was kept or is counted: one of all auctions, and two new ones each time
    assert watch.evicted + len(watch) == 1 + 2 * MIN_AUCTIONS


def test_of_pairs_with_equally_many_auctions_the_longest_unseen_is_evicted() -> None:
    watch = SplittingWatch(most_pairs=4)
    for name in "abcde":
        watch.add({f"{name}1": np.arange(4.0), f"{name}2": np.arange(4.0)})

    assert [ids[0] for ids in sorted(pair.ids for pair in watch.suspects(min_auctions=1))] == ["c1", "d1", "e1"]
    assert watch.evicted == 2


def test_the_order_of_advertisers_in_an_auction_does_not_change_a_suspected_pair() -> None:
    rng = np.random.default_rng(0)
    there, back = SplittingWatch(), SplittingWatch()
    for _ in range(MIN_AUCTIONS):
        bids = {name: wish(rng) for name in ("one", "two", "three")}
        there.add(bids)
        back.add(dict(reversed(bids.items())))

    assert there.suspects(min_cosine=-1.0) == back.suspects(min_cosine=-1.0) != ()


def test_auctions_of_nobody_and_of_one_leave_no_pair() -> None:
    watch = SplittingWatch()
    watch.add({})
    watch.add({"one": np.arange(20.0)})

    assert (watch.auctions, len(watch), watch.suspects(1)) == (2, 0, ())


@pytest.mark.parametrize("different", [1, 2, 3, 4])
def test_auctions_of_too_few_different_candidates_are_passed_over(different: int) -> None:
    x = np.arange(20.0) % different

    watch = watched(lambda rng: {"one": x, "two": 2 * x}, 0)

    assert watch.auctions == MIN_AUCTIONS
    assert pairs(watch) == ([("one", "two")] if different == 4 else [])


@pytest.mark.parametrize(
    ("rewards", "log_pi", "tau"),
    [
        ({"one": np.zeros(2), "two": np.zeros(3)}, None, 0.0),
        ({"one": np.zeros((2, 2)), "two": np.zeros((2, 2))}, None, 0.0),
        ({"one": np.array([0.0, np.nan]), "two": np.zeros(2)}, None, 0.0),
        ({"one": np.array([0.0, np.inf]), "two": np.zeros(2)}, None, 0.0),
        ({"one": np.arange(4.0), "two": np.arange(4.0)}, np.zeros(3), 1.0),
        ({"one": np.arange(4.0), "two": np.arange(4.0)}, np.zeros(4), 0.0),
    ],
)
def test_arrays_that_are_no_auction_are_refused_by_the_split_bid_watch(
    rewards: Bids, log_pi: Floats | None, tau: float
) -> None:
    watch = SplittingWatch()

    with pytest.raises(InvalidAuction):
        watch.add(rewards, log_pi, tau)

    assert len(watch) == 0
