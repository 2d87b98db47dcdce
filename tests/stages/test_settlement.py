"""Settlement: a pure function from a scored event to one reply and its bills."""

import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from schemas.auction import Abstention, Bidder, CandidatesScored
from schemas.envelope import Event
from schemas.identity import derive
from schemas.reasons import AbstentionReason, VoidReason
from schemas.reply import ReplySettled
from schemas.settled import QuerySettled
from tests.support.builders import (
    DRAW_KEY,
    SUBMITTED_AT,
    Keys,
    envelop,
    make_bidder,
    make_scored,
    make_settled,
    name_query,
    settle,
)
from workers.mechanism.epochs import EpochKey, epoch_key
from workers.mechanism.payments import charge_bound
from workers.settlement import Settlement, disclosure


def test_a_reply_is_sold_and_billed() -> None:
    scored = make_scored(1, candidates=6, advertisers=3)

    reply, bills = make_settled(scored)

    data = reply.data
    assert (data.outcome, data.sponsored, data.void_reason) == ("sold", True, None)
    assert data.chosen_index is not None
    assert data.reply == scored.data.candidates[data.chosen_index].text
    assert data.weights[data.chosen_index] > 0
    assert sum(data.probabilities) == pytest.approx(1.0, abs=1e-12)
    assert [weight / 2**62 for weight in data.weights] == pytest.approx(data.probabilities, abs=1e-12)
    assert 1.0 <= data.effective_sample_size <= 6.0
    assert len(bills) == 3


def test_bills_and_reply_agree() -> None:
    reply, bills = make_settled(make_scored(1, advertisers=3))

    assert tuple(bill.data.charge_id for bill in bills) == reply.data.charge_ids
    assert sum(bill.data.charge_micros for bill in bills) == reply.data.total_charge_micros > 0
    assert [bill.data.advertiser_id for bill in bills] == [one.advertiser_id for one in reply.data.sponsors]
    for bill, sponsor in zip(bills, reply.data.sponsors, strict=True):
        assert (bill.data.probability_with, bill.data.probability_without, bill.data.name) == (
            sponsor.probability_with,
            sponsor.probability_without,
            sponsor.name,
        )
        assert bill.subject == bill.data.advertiser_id  # the key of the billing topic


def test_bills_name_the_events_they_follow_from() -> None:
    scored = make_scored(1)

    reply, bills = make_settled(scored)

    for bill in bills:
        assert bill.data.scored_sha256 == sha256(scored.value).hexdigest()
        assert bill.data.settled_sha256 == sha256(reply.value).hexdigest()
        assert bill.data.charge_id == derive("charge", scored.data.auction_id, bill.data.advertiser_id, "influence")
        assert bill.causation_id == reply.causation_id == scored.id
    assert reply.data.draw is not None
    assert reply.data.draw.scored_sha256 == scored.digest
    assert reply.data.draw.key_sha256 == epoch_key(DRAW_KEY, "2026-11-23").sha256
    assert DRAW_KEY.decode() not in reply.value.decode()


def test_the_bound_is_that_of_the_declared_range() -> None:
    bidders = (make_bidder(0, reward_range_micros=(-3_000, 3_000)), make_bidder(1, reward_range_micros=(-9_000, 3_000)))

    _, bills = make_settled(make_scored(1, advertisers=bidders))

    assert [bill.data.bound_micros for bill in bills] == [charge_bound(0, 6_000, 1_000), charge_bound(0, 12_000, 1_000)]
    assert all(bill.data.charge_micros <= bill.data.bound_micros for bill in bills)


DEADLINE_AT = SUBMITTED_AT + timedelta(seconds=30)


def taken(after: timedelta | None, **changes: Any) -> Event[CandidatesScored]:
    """An auction with a stated deadline; the broker took its scored event so long after that."""
    fields = {"deadline": DEADLINE_AT, "deadline_stated": True, **changes}
    return replace(make_scored(1, **fields), recorded_at=None if after is None else DEADLINE_AT + after)


def test_an_auction_scored_after_its_stated_deadline_is_not_billed() -> None:
    scored = taken(timedelta(milliseconds=1))

    settled = settle(scored)

    assert len(settled) == 1
    reply = settled[0].data
    assert isinstance(reply, ReplySettled)
    assert (reply.outcome, reply.void_reason, reply.total_charge_micros) == ("void", VoidReason.LATE, 0)
    assert (reply.reply, reply.charge_ids, reply.draw) == (scored.data.fallback.text, (), None)
    assert [event.value for event in settle(scored)] == [event.value for event in settled]


IN_TIME = {
    "at the deadline": taken(timedelta()),
    "nobody stated it": taken(timedelta(days=900), deadline_stated=False),
    "of a release that did not say who stated it": taken(timedelta(days=900), deadline_stated=None),
    "the broker's time is not known": taken(None),
}


@pytest.mark.parametrize("scored", IN_TIME.values(), ids=IN_TIME)
def test_an_auction_scored_in_time_or_without_a_stated_deadline_is_sold(scored: Event[CandidatesScored]) -> None:
    reply, bills = make_settled(scored)

    assert (reply.data.outcome, len(bills)) == ("sold", 2)


def test_a_late_auction_keeps_the_reason_it_was_void_for() -> None:
    (reply,) = settle(taken(timedelta(days=1), void_reason=VoidReason.ALL_ABSTAINED, rewards_micros={}, log_ref=()))

    assert reply.data.void_reason is VoidReason.ALL_ABSTAINED  # type: ignore[union-attr]


def test_an_auction_without_bidders_is_never_late() -> None:
    (reply,) = settle(taken(timedelta(days=1), advertisers=()))

    assert reply.data.outcome == "no_advertisers"  # type: ignore[union-attr]


async def test_a_late_auction_needs_no_key_of_the_draw() -> None:
    class Nobodys:
        async def key(self, epoch: str | None, at: datetime | None = None) -> EpochKey:
            raise AssertionError("no draw")

    reply, used = await Settlement(Nobodys()).handle(taken(timedelta(days=1)))

    assert used.data.settled_sha256 == reply.digest  # type: ignore[union-attr]


def test_settling_twice_gives_the_same_bytes() -> None:
    scored = make_scored(2, candidates=9, advertisers=4)

    first, again = settle(scored), settle(scored)

    assert [event.value for event in first] == [event.value for event in again]
    assert [event.to_record() for event in first] == [event.to_record() for event in again]


async def test_the_settlement_worker_publishes_what_the_pure_function_returns() -> None:
    scored = make_scored(2)

    assert list(await Settlement(Keys()).handle(scored))[:-1] == list(settle(scored))


@pytest.mark.parametrize(
    ("outcome", "changes"),
    [
        ("sold", {}),
        ("no_advertisers", {"advertisers": 0, "log_ref": (), "rewards_micros": {}}),
        ("void", {"void_reason": VoidReason.DEADLINE_PASSED}),
    ],
)
async def test_the_query_is_settled_whatever_the_outcome(outcome: str, changes: dict[str, Any]) -> None:
    scored = make_scored(2, **changes)

    reply, *_, used = await Settlement(Keys()).handle(scored)

    assert getattr(reply.data, "outcome", None) == outcome
    assert used.data == QuerySettled(
        query_id="query-2",
        auction_id=scored.data.auction_id,
        settled_sha256=sha256(reply.value).hexdigest(),
        scored_sha256=sha256(scored.value).hexdigest(),
    )
    assert (used.subject, used.correlation_id, used.causation_id) == ("query-2", "query-2", scored.id)


async def test_foreign_headers_reach_the_reply_and_not_the_settled_ids() -> None:
    scored = replace(make_scored(), others=(("x-caf\udce9", b"1"),))

    reply, *_, used = await Settlement(Keys()).handle(scored)

    assert reply.others == scored.others
    assert used.others == ()


def test_settlement_depends_on_no_clock_no_randomness_and_no_hash_order() -> None:
    """Another process, with another hash seed, settles to the same bytes."""
    program = (
        "from tests.support.builders import *\n"
        "print(*(e.value.decode() for e in settle(make_scored(2, advertisers=5))), sep='\\n')"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            env={"PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(outputs) == 1
    assert b"auction_id" in outputs.pop()


def test_the_key_decides_the_draw_and_nothing_else() -> None:
    scored = make_scored(3, candidates=8)
    keys = [f"another key of thirty-two characters {number}".encode() for number in range(40)]

    results = [settle(scored, key) for key in keys]

    assert len({result[0].data.chosen_index for result in results}) > 2
    assert len({result[0].data.weights for result in results}) == 1
    assert len({tuple(bill.data.charge_micros for bill in result[1:]) for result in results}) == 1


def test_changing_one_bit_of_the_scored_event_changes_the_draw() -> None:
    scored = make_scored(3, candidates=8)

    us = {make_settled(replace(scored, value=scored.value + b" " * blanks))[0].data.draw.u for blanks in range(5)}

    assert len(us) == 5


def test_an_indifferent_advertiser_gets_a_bill_of_zero() -> None:
    scored = make_scored(1)
    rewards = {"advertiser-00": (0.0,) * 4, "advertiser-01": scored.data.rewards_micros["advertiser-01"]}

    reply, bills = make_settled(make_scored(1, rewards_micros=rewards))

    assert [bill.data.advertiser_id for bill in bills] == ["advertiser-00", "advertiser-01"]
    assert bills[0].data.charge_micros == 0 < bills[1].data.charge_micros
    assert bills[0].data.probability_with == pytest.approx(bills[0].data.probability_without, abs=1e-15)
    assert bills[0].data.charge_id in reply.data.charge_ids


def test_an_abstaining_advertiser_pays_nothing_and_is_named() -> None:
    scored = make_scored(1, advertisers=3)
    rewards = {id_: one for id_, one in scored.data.rewards_micros.items() if id_ != "advertiser-01"}
    abstention = Abstention(advertiser_id="advertiser-01", reason=AbstentionReason.ENGINE_FAILED)

    reply, bills = make_settled(make_scored(1, advertisers=3, rewards_micros=rewards, abstentions=(abstention,)))

    assert [bill.data.advertiser_id for bill in bills] == ["advertiser-00", "advertiser-02"]
    assert reply.data.abstentions == (abstention,)
    present = make_scored(1, advertisers=(make_bidder(0), make_bidder(2)), rewards_micros=rewards)
    _, without = make_settled(present)
    assert [bill.data.charge_micros for bill in bills] == [bill.data.charge_micros for bill in without]


@pytest.mark.parametrize("order", [("advertiser-01", "advertiser-00"), ("advertiser-00", "advertiser-01")])
def test_rewards_are_matched_by_advertiser_id_not_by_order(order: tuple[str, str]) -> None:
    scored = make_scored(4)
    rewards = {id_: scored.data.rewards_micros[id_] for id_ in order}

    _, bills = make_settled(make_scored(4, rewards_micros=rewards))

    expected = {bill.data.advertiser_id: bill.data.charge_micros for bill in make_settled(scored)[1]}
    assert {bill.data.advertiser_id: bill.data.charge_micros for bill in bills} == expected
    assert len(set(expected.values())) == 2


NOT_HELD: dict[str, tuple[dict[str, Any], str, VoidReason | None]] = {
    "nobody": ({"advertisers": 0}, "no_advertisers", None),
    "all abstained": (
        {"rewards_micros": {}, "log_ref": (), "void_reason": VoidReason.ALL_ABSTAINED},
        "void",
        VoidReason.ALL_ABSTAINED,
    ),
    "no reference": (
        {"rewards_micros": {}, "log_ref": (), "void_reason": VoidReason.REFERENCE_NOT_SCORED},
        "void",
        VoidReason.REFERENCE_NOT_SCORED,
    ),
    "late, although scored": ({"void_reason": VoidReason.DEADLINE_PASSED}, "void", VoidReason.DEADLINE_PASSED),
}


@pytest.mark.parametrize(("changes", "outcome", "reason"), NOT_HELD.values(), ids=NOT_HELD)
def test_an_unsold_auction_returns_the_fallback_and_no_bill(
    changes: dict[str, Any], outcome: str, reason: VoidReason | None
) -> None:
    scored = make_scored(6, **changes)

    reply, bills = make_settled(scored)

    data = reply.data
    assert bills == []
    assert (data.outcome, data.void_reason) == (outcome, reason)
    assert data.reply == scored.data.fallback.text == "Advert-free reply of auction 6."
    assert (data.sponsored, data.sponsors, data.charge_ids, data.total_charge_micros) == (False, (), (), 0)
    assert (data.chosen_index, data.draw, data.weights, data.probabilities) == (None, None, (), ())
    assert data.disclosure == "No advertiser had any influence on this reply."
    assert type(data).decode(reply.value) == data


def test_the_disclosure_states_how_each_bid_changed_the_probability() -> None:
    reply, _ = make_settled(make_scored(1))

    for sponsor in reply.data.sponsors:
        assert (
            f"{sponsor.name} changed the probability of this reply "
            f"from {sponsor.probability_without:.2%} to {sponsor.probability_with:.2%}"
        ) in reply.data.disclosure
    assert reply.data.disclosure.startswith("Sponsored. ")
    assert reply.data.disclosure == disclosure(reply.data.sponsors, quoted=False)


def test_names_are_quoted_in_the_disclosure_of_an_auction_that_names_its_querys_record() -> None:
    reply, _ = make_settled(envelop(name_query(make_scored(1).data)))

    assert reply.data.sponsors
    for sponsor in reply.data.sponsors:
        assert f"“{sponsor.name}” changed the probability" in reply.data.disclosure


def test_the_largest_auction_settles_and_can_be_read() -> None:
    scored = make_scored(9, candidates=256, advertisers=64)
    assert CandidatesScored.decode(scored.value) == scored.data

    reply, bills = make_settled(scored)

    assert len(bills) == 64
    assert type(reply.data).decode(reply.value) == reply.data
    assert sum(bill.data.charge_micros for bill in bills) == reply.data.total_charge_micros


# Link groups: one party, one bid, one charge


def linked(*groups: str | None) -> tuple[Bidder, ...]:
    return tuple(make_bidder(index, link_group=name) for index, name in enumerate(groups))


def test_a_link_group_bids_as_one_and_its_first_member_pays() -> None:
    # Given an auction of three, the first and the third of which are one party
    alone = make_scored(5, candidates=6, advertisers=linked(None, None, None))
    rewards = alone.data.rewards_micros
    together = make_scored(5, candidates=6, advertisers=linked("acme", None, "acme"))
    # and the same auction in which that party is one advertiser with the sum of the bids
    summed = tuple(a + b for a, b in zip(rewards["advertiser-00"], rewards["advertiser-02"], strict=True))
    merged = make_scored(
        5,
        candidates=6,
        advertisers=linked(None, None),
        rewards_micros={"advertiser-00": summed, "advertiser-01": rewards["advertiser-01"]},
    )

    reply, bills = make_settled(together)
    one_reply, one_bills = make_settled(merged)

    # Then the odds are those of the sum, whoever is linked, and the party pays as that one advertiser does
    assert reply.data.probabilities == pytest.approx(one_reply.data.probabilities, abs=1e-14)
    assert [bill.data.charge_micros for bill in bills] == [
        one_bills[0].data.charge_micros,
        one_bills[1].data.charge_micros,
        0,
    ]
    # which is not what its members would have paid apart
    apart = make_settled(alone)[1]
    assert bills[0].data.charge_micros != apart[0].data.charge_micros + apart[2].data.charge_micros
    assert [bill.data.link_group for bill in bills] == ["acme", None, "acme"]
    # and every member is disclosed with the party's odds
    first, _, third = reply.data.sponsors
    assert (first.probability_with, first.probability_without) == (third.probability_with, third.probability_without)


def test_the_bound_of_a_link_group_is_that_of_its_ranges_together() -> None:
    bidders = tuple(
        make_bidder(index, link_group="acme", reward_range_micros=(-2_000 * (index + 1), 1_000)) for index in range(2)
    )

    _, bills = make_settled(make_scored(1, advertisers=bidders))

    assert [bill.data.bound_micros for bill in bills] == [charge_bound(-6_000, 2_000, 1_000), 0]
    assert all(bill.data.charge_micros <= bill.data.bound_micros for bill in bills)


def test_a_group_of_one_and_a_group_named_like_an_advertiser_change_nothing() -> None:
    plain = make_settled(make_scored(4, advertisers=linked(None, None)))[1]
    named = make_settled(make_scored(4, advertisers=linked("advertiser-01", None)))[1]

    assert [bill.data.charge_micros for bill in named] == [bill.data.charge_micros for bill in plain]


def test_the_largest_bids_of_a_whole_auction_in_one_party_still_have_a_bill() -> None:
    # Given 64 advertisers of one party with the widest ranges an event can hold, and bids that fill them
    bidders = tuple(
        make_bidder(index, link_group="acme", reward_range_micros=(-5 * 10**14, 5 * 10**14)) for index in range(64)
    )
    rewards = {bidder.advertiser_id: (5e14, -5e14) for bidder in bidders}

    reply, bills = make_settled(make_scored(1, candidates=2, advertisers=bidders, rewards_micros=rewards))

    assert bills[0].data.bound_micros == 64 * 10**15
    assert reply.data.total_charge_micros == bills[0].data.charge_micros < 2_000  # τ·ln(1/π₋) at the most


def test_the_largest_opposed_bids_still_have_a_total() -> None:
    bidders = tuple(make_bidder(index, reward_range_micros=(-5 * 10**14, 5 * 10**14)) for index in range(64))
    rewards = {
        bidder.advertiser_id: (5e14, -5e14) if index % 2 else (-5e14, 5e14) for index, bidder in enumerate(bidders)
    }

    reply, bills = make_settled(make_scored(1, candidates=2, advertisers=bidders, rewards_micros=rewards))

    assert reply.data.total_charge_micros == sum(bill.data.charge_micros for bill in bills) > 10**15
