"""Settlement: a pure function of the scored event and the draw's key. No clock, no model, no network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from schemas.auction import Bidder, CandidatesScored
from schemas.billing import AdvertiserCharged
from schemas.draw import query_parts
from schemas.envelope import Event
from schemas.identity import derive
from schemas.reply import Draw, ReplySettled, Sponsor
from schemas.settled import QuerySettled
from workers.bids import bids, numbers
from workers.held import is_held, why_void
from workers.mechanism.draw import ALGORITHM, BEFORE_QUERY_RECORDS
from workers.mechanism.epochs import EpochKey
from workers.mechanism.link_groups import Grouped
from workers.mechanism.payments import billable, charge_bound
from workers.mechanism.settle import Auction, Outcome, settle

SOURCE = "settlement"
LINE = "influence"  # the line of the bill: part of the charge's id

Settled = Event[ReplySettled] | Event[AdvertiserCharged]


class KeySource(Protocol):
    """Where the key of an epoch comes from; whoever hands it out has published its commitment."""

    async def key(self, epoch: str | None, at: datetime | None = None) -> EpochKey: ...


@dataclass(frozen=True)
class Settlement:
    """CandidatesScored -> ReplySettled, one AdvertiserCharged for each advertiser that took part, QuerySettled."""

    keys: KeySource

    async def handle(self, event: Event[CandidatesScored]) -> Sequence[Settled | Event[QuerySettled]]:
        if is_held(event):
            settled = settle_event(event, await self.keys.key(event.data.draw_epoch, event.recorded_at))
        else:
            settled = (_follow(event, _without_auction(event)),)
        return *settled, _query_settled(event, settled[0].digest)


def settle_event(event: Event[CandidatesScored], key: EpochKey) -> Sequence[Settled]:
    """The events of one auction under the key of its epoch. A replay of the event, `recorded_at` with it, gives the
    same bytes.

    Another kind of processor may round a probability's last digit differently; charges are whole micros, far above.
    """
    scored = event.data
    if not is_held(event):
        return (_follow(event, _without_auction(event)),)
    bidders, grouped = bids(scored)
    auction = Auction(
        scored.auction_id, event.digest, numbers(scored, grouped), scored.payment_rule, query_parts(scored.query_record)
    )
    outcome = settle(auction, key.key)
    shares = _shares(bidders, grouped, outcome)
    sponsors = _sponsors(shares)
    settled = _follow(event, _reply(event, outcome, sponsors, key))
    return settled, *_charges(event, settled, shares)


def _reply(
    event: Event[CandidatesScored], outcome: Outcome, sponsors: Sequence[Sponsor], key: EpochKey
) -> ReplySettled:
    scored, choice = event.data, outcome.choice
    return ReplySettled(
        query_id=scored.query_id,
        auction_id=scored.auction_id,
        submitted_at=scored.submitted_at,
        received_at=scored.received_at,
        outcome="sold",
        reply=scored.candidates[choice.index].text,
        language=scored.question.language,
        category=scored.question.category,
        sponsored=True,
        disclosure=disclosure(sponsors, quoted=scored.query_record is not None),
        chosen_index=choice.index,
        weights_text=tuple(map(str, choice.weights)),
        weights=choice.weights,
        probabilities=tuple(outcome.allocation.pi.tolist()),
        effective_sample_size=outcome.allocation.effective_sample_size,
        draw=Draw(
            algorithm=ALGORITHM if scored.query_record else BEFORE_QUERY_RECORDS,
            epoch=key.epoch,
            key_sha256=key.sha256,
            scored_sha256=event.digest,
            query_record=scored.query_record,
            u=f"{choice.u:032x}",
        ),
        sponsors=tuple(sponsors),
        abstentions=scored.abstentions,
        charge_ids=tuple(charge_id(scored.auction_id, sponsor.advertiser_id) for sponsor in sponsors),
        total_charge_micros=sum(outcome.charges),
        currency=scored.currency,
    )


def charge_id(auction_id: str, advertiser_id: str) -> str:
    """The idempotency key of a charge: the same auction and advertiser never give two."""
    return derive("charge", auction_id, advertiser_id, LINE)


def disclosure(sponsors: Sequence[Sponsor], *, quoted: bool) -> str:
    """What the reader of the reply is told. Names are `quoted` but in auctions of releases that did not quote them."""
    parts = (
        f"{f'“{sponsor.name}”' if quoted else sponsor.name} changed the probability of this reply "
        f"from {sponsor.probability_without:.2%} to {sponsor.probability_with:.2%}"
        for sponsor in sponsors
    )
    return f"Sponsored. {'; '.join(parts)}."


def _follow(event: Event[CandidatesScored], data: ReplySettled) -> Event[ReplySettled]:
    return event.follow(data, source=SOURCE, auction_id=data.auction_id, time=event.time)


def _query_settled(event: Event[CandidatesScored], settled_sha256: str) -> Event[QuerySettled]:
    """The query's id is used from now on, also where no bid was billed. Headers of others stay behind."""
    scored = event.data
    data = QuerySettled(
        query_id=scored.query_id,
        auction_id=scored.auction_id,
        settled_sha256=settled_sha256,
        scored_sha256=event.digest,
    )
    return replace(event, others=()).follow(data, source=SOURCE, auction_id=scored.auction_id, time=event.time)


def _without_auction(event: Event[CandidatesScored]) -> ReplySettled:
    """The advert-free reply: nobody took part, or the auction is void; nobody pays."""
    scored, void_reason = event.data, why_void(event)
    return ReplySettled(
        query_id=scored.query_id,
        auction_id=scored.auction_id,
        submitted_at=scored.submitted_at,
        received_at=scored.received_at,
        outcome="no_advertisers" if void_reason is None else "void",
        void_reason=void_reason,
        reply=scored.fallback.text,
        language=scored.question.language,
        category=scored.question.category,
        sponsored=False,
        disclosure="No advertiser had any influence on this reply.",
        weights=(),
        probabilities=(),
        effective_sample_size=0.0,
        sponsors=(),
        abstentions=scored.abstentions,
        charge_ids=(),
        total_charge_micros=0,
        currency=scored.currency,
    )


@dataclass(frozen=True, slots=True)
class _Share:
    """One bidder's part in the outcome of its party."""

    bidder: Bidder
    probability_with: float
    probability_without: float
    charge: int  # micros; the first member of a party carries all of it
    range_micros: tuple[int, int]  # what the charge is bound by: the party's range, nothing for the other members


def _shares(bidders: Sequence[Bidder], grouped: Grouped, outcome: Outcome) -> list[_Share]:
    """A share for each bidder, in their order."""
    chosen = outcome.choice.index
    with_all = float(outcome.allocation.pi[chosen])
    log_without = outcome.allocation.log_pi_without[:, chosen].tolist()
    shares: dict[int, _Share] = {}
    for members, log_p, charge in zip(grouped.members, log_without, outcome.charges, strict=True):
        ranges = [bidders[place].reward_range_micros for place in members]
        owed = charge, (sum(least for least, _ in ranges), sum(largest for _, largest in ranges))
        for place in members:
            shares[place] = _Share(bidders[place], with_all, min(1.0, math.exp(log_p)), *owed)
            owed = 0, (0, 0)
    return [shares[place] for place in range(len(bidders))]


def _sponsors(shares: Sequence[_Share]) -> tuple[Sponsor, ...]:
    return tuple(
        Sponsor(
            advertiser_id=share.bidder.advertiser_id,
            name=share.bidder.name,
            probability_with=share.probability_with,
            probability_without=share.probability_without,
        )
        for share in shares
    )


def _charges(
    event: Event[CandidatesScored], settled: Event[ReplySettled], shares: Sequence[_Share]
) -> list[Event[AdvertiserCharged]]:
    """One charge for each sponsor of the settled reply, in its order."""
    scored, rule = event.data, billable(event.data.payment_rule)
    charges = (
        AdvertiserCharged(
            charge_id=id_,
            query_id=scored.query_id,
            auction_id=scored.auction_id,
            advertiser_id=share.bidder.advertiser_id,
            name=share.bidder.name,
            link_group=share.bidder.link_group,
            charge_micros=share.charge,
            currency=scored.currency,
            payment_rule=scored.payment_rule,
            payment_rule_version=rule.version,
            tau_micros_per_nat=scored.tau_micros_per_nat,
            bound_micros=charge_bound(*share.range_micros, scored.tau_micros_per_nat),
            probability_with=share.probability_with,
            probability_without=share.probability_without,
            scored_sha256=event.digest,
            settled_sha256=settled.digest,
            submitted_at=scored.submitted_at,
        )
        for share, id_ in zip(shares, settled.data.charge_ids, strict=True)
    )
    return [event.follow(charge, source=SOURCE, auction_id=scored.auction_id, time=event.time) for charge in charges]
