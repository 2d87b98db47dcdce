"""Link groups: what false-name bids save, and that a link group takes it back (mechanism/README §6)."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mechanism.auctions import auctions
from workers.mechanism.allocation import InvalidAuction, Numbers
from workers.mechanism.link_groups import group
from workers.truthfulness.margins import scale_micros
from workers.truthfulness.rule import as_billed

TAU = 1_000_000.0  # a nat is a whole unit of currency

#: Ten candidates; one advertiser, to whom they are worth 0 to 6.3 units.
WHOLE = Numbers(np.zeros(10), np.zeros(10), 0.7 * TAU * np.arange(10.0)[None, :], TAU)


def split(auction: Numbers, k: int) -> Numbers:
    """The first advertiser as k identities, each with a kth of its rewards."""
    parts = np.tile(auction.rewards[:1] / k, (k, 1))
    return replace(auction, rewards=np.concatenate([parts, auction.rewards[1:]]))


@pytest.mark.parametrize(("k", "charge"), [(1, 0.9330), (2, 0.3231), (5, 0.1041), (20, 0.0236), (100, 0.0046)])
def test_false_name_bids_lower_the_charge_and_leave_the_allocation(k: int, charge: float) -> None:
    parts = split(WHOLE, k)

    assert parts.solve().pi == pytest.approx(WHOLE.solve().pi, abs=1e-14)
    assert as_billed(parts).prices.sum() / TAU == pytest.approx(charge, abs=5e-5)


@pytest.mark.parametrize("k", [1, 2, 5, 20, 100])
def test_a_link_group_restores_the_charge_of_the_unsplit_bid_to_the_micro(k: int) -> None:
    parts = split(WHOLE, k)

    grouped = group(parts.rewards, ["one party"] * k)

    assert grouped.members == (tuple(range(k)),)
    restored = as_billed(replace(parts, rewards=grouped.rewards))
    assert restored.charges == as_billed(WHOLE).charges
    assert restored.allocation.pi == pytest.approx(parts.solve().pi, abs=1e-14)


def test_parties_stand_in_the_order_of_their_first_members() -> None:
    rewards = np.array([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0], [1_000.0, 2_000.0]])

    grouped = group(rewards, ["b", "a", "b", "c"])

    assert grouped.members == ((0, 2), (1,), (3,))
    assert grouped.rewards.tolist() == [[101.0, 202.0], [10.0, 20.0], [1_000.0, 2_000.0]]


@given(auctions())
def test_without_link_groups_the_rewards_stay_as_they_are(auction: Numbers) -> None:
    rows = len(auction.rewards)

    grouped = group(auction.rewards, range(rows))

    assert grouped.rewards.tobytes() == auction.rewards.tobytes()
    assert grouped.members == tuple((row,) for row in range(rows))


def test_no_advertisers_make_no_parties() -> None:
    grouped = group(np.zeros((0, 3)), [])

    assert (grouped.rewards.shape, grouped.members) == ((0, 3), ())


@pytest.mark.parametrize(("shape", "labels"), [((2, 3), ["a"]), ((1, 3), ["a", "b"]), ((3,), ["a", "b", "c"])])
def test_each_row_has_one_label(shape: tuple[int, ...], labels: list[str]) -> None:
    with pytest.raises(InvalidAuction, match="one label for each"):
        group(np.zeros(shape), labels)


@settings(max_examples=80, deadline=None)
@given(auctions(advertisers=(1, 4)), st.integers(1, 6))
def test_a_split_bid_in_one_link_group_settles_as_the_whole_bid_for_everybody(auction: Numbers, k: int) -> None:
    others = len(auction.rewards) - 1
    parts = split(auction, k)

    grouped = group(parts.rewards, [0] * k + list(range(1, others + 1)))

    restored = replace(auction, rewards=grouped.rewards)
    assert restored.solve().pi == pytest.approx(auction.solve().pi, abs=1e-10)
    assert as_billed(restored).prices == pytest.approx(as_billed(auction).prices, abs=1e-10 * scale_micros(auction))


@settings(max_examples=80, deadline=None)
@given(auctions(candidates=(2, 24), advertisers=(1, 4)), st.integers(2, 6))
def test_false_name_bids_never_cost_more_than_one_bid(auction: Numbers, k: int) -> None:
    assert as_billed(split(auction, k)).prices[:k].sum() <= as_billed(auction).prices[0] + 1e-10 * scale_micros(auction)


def test_link_groups_of_one_member_change_nothing() -> None:
    rewards = np.random.default_rng(1).normal(size=(3, 4))

    assert group(rewards, ["x", "y", "z"]).rewards.tolist() == rewards.tolist()
