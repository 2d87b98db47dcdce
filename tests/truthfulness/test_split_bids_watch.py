"""The watch for split bids over scored events: what is counted, in which currency, and that losses are real charges."""

from typing import Any

import numpy as np
import pytest

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.reasons import VoidReason
from tests.support.builders import make_scored, make_settled
from workers.truthfulness.split_bids import MIN_AUCTIONS, MIN_COSINE
from workers.truthfulness.split_bids_watch import SplittingReport


def split_auction(seed: int, *, parts: int = 2, **changes: Any) -> Event[CandidatesScored]:
    """Three advertisers; the first `parts` of them have equal parts of one bid."""
    scored = make_scored(seed, candidates=8, advertisers=3).data
    whole, part = scored.rewards_micros["advertiser-00"], range(parts)
    rewards = {f"advertiser-{i:02}": tuple(reward / parts for reward in whole) for i in part}
    return make_scored(seed, candidates=8, advertisers=3, rewards_micros=scored.rewards_micros | rewards, **changes)


def whole_auction(seed: int) -> Event[CandidatesScored]:
    """The same auction in which one advertiser bids for both, and the other for nothing."""
    scored = split_auction(seed).data
    whole = tuple(2 * reward for reward in scored.rewards_micros["advertiser-00"])
    rewards = {"advertiser-00": whole, "advertiser-02": scored.rewards_micros["advertiser-02"]}
    return make_scored(seed, candidates=8, advertisers=3, rewards_micros=rewards)


def charged(event: Event[CandidatesScored], *ids: str) -> int:
    _, bills = make_settled(event)
    return sum(bill.data.charge_micros for bill in bills if bill.data.advertiser_id in ids)


def test_parts_of_one_bid_are_suspected_with_the_charge_they_saved() -> None:
    # Given auctions in which the first two advertisers are one
    report = SplittingReport()
    for seed in range(MIN_AUCTIONS):
        report.add(split_auction(seed).data)

    ((currency, pair),) = report.suspects(MIN_AUCTIONS, MIN_COSINE)

    assert (currency, pair.ids, pair.auctions) == ("USD", ("advertiser-00", "advertiser-01"), MIN_AUCTIONS)
    assert (report.auctions, report.pairs, report.evicted) == (MIN_AUCTIONS, 3, 0)
    # and what they saved is what settlement would have charged one bidder more, but for a rounding of each bill
    as_two = sum(charged(split_auction(seed), *pair.ids) for seed in range(MIN_AUCTIONS))
    as_one = sum(charged(whole_auction(seed), *pair.ids) for seed in range(MIN_AUCTIONS))
    assert pair.lost_micros == pytest.approx(as_one - as_two, abs=1.5 * MIN_AUCTIONS)
    assert pair.lost_micros > 0.2 * as_one > 0


def test_honest_advertisers_are_not_suspected_of_split_bids() -> None:
    report = SplittingReport()
    for seed in range(MIN_AUCTIONS):
        report.add(make_scored(seed, candidates=8, advertisers=5).data)

    assert report.suspects(MIN_AUCTIONS, MIN_COSINE) == []
    assert (report.pairs, report.judged(MIN_AUCTIONS), report.judged(MIN_AUCTIONS + 1)) == (10, 10, 0)


def test_an_auction_that_was_not_held_is_passed_over() -> None:
    report = SplittingReport()
    report.add(make_scored(0, void_reason=VoidReason.DEADLINE_PASSED).data)
    report.add(make_scored(1, advertisers=0, rewards_micros={}, log_ref=()).data)

    assert report.auctions == 0


def test_currencies_are_kept_apart() -> None:
    report = SplittingReport()
    for seed in range(MIN_AUCTIONS):
        report.add(split_auction(seed, currency="EUR" if seed % 2 else "USD").data)

    assert report.suspects(MIN_AUCTIONS, MIN_COSINE) == []
    found = report.suspects(MIN_AUCTIONS // 2, MIN_COSINE)
    assert [(currency, pair.auctions) for currency, pair in found] == [("EUR", 10), ("USD", 10)]


def test_reading_logged_rewards_changes_no_number() -> None:
    scored = split_auction(3).data
    before = np.array(list(scored.rewards_micros.values()))

    SplittingReport().add(scored)

    assert (np.array(list(scored.rewards_micros.values())) == before).all()
