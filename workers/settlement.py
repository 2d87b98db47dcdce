"""Settlement: a pure function of the scored event and the draw's key. No clock, no model, no network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np

from schemas.auction import Bidder, CandidatesScored, Draw, ReplySettled, Sponsor
from schemas.billing import AdvertiserCharged
from schemas.envelope import Event
from schemas.identity import derive
from workers.mechanism.draw import ALGORITHM
from workers.mechanism.outcome import Auction, Outcome, settle
from workers.mechanism.payments import charge_bound

SOURCE = "settlement"
LINE = "influence"  # the line of the bill: part of the charge's id

Settled = Event[ReplySettled] | Event[AdvertiserCharged]


@dataclass(frozen=True)
class Settlement:
    """CandidatesScored -> ReplySettled, then one AdvertiserCharged for each advertiser that took part."""

    draw_key: bytes

    @cached_property
    def key_digest(self) -> str:
        """SHA-256 of the draw's key: names it without giving it away."""
        return sha256(self.draw_key).hexdigest()

    async def handle(self, event: Event[CandidatesScored]) -> Sequence[Settled]:
        return self.settle(event)

    def settle(self, event: Event[CandidatesScored]) -> Sequence[Settled]:
        """The events of one auction. A replay gives the same bytes.

        Another kind of processor may round a probability's last digit differently; charges are whole micros, far above.
        """
        scored = event.data
        bidders = [advertiser for advertiser in scored.advertisers if advertiser.advertiser_id in scored.rewards_micros]
        if scored.void_reason is not None or not bidders:
            return (_follow(event, _without_auction(scored)),)
        outcome = settle(_auction(event, bidders), self.draw_key)
        sponsors = _sponsors(bidders, outcome)
        settled = _follow(event, self._reply(event, outcome, sponsors))
        return settled, *_charges(event, settled, bidders, outcome)

    def _reply(self, event: Event[CandidatesScored], outcome: Outcome, sponsors: Sequence[Sponsor]) -> ReplySettled:
        scored, choice = event.data, outcome.choice
        return ReplySettled(
            query_id=scored.query_id,
            auction_id=scored.auction_id,
            submitted_at=scored.submitted_at,
            outcome="sold",
            reply=scored.candidates[choice.index].text,
            language=scored.question.language,
            category=scored.question.category,
            sponsored=True,
            disclosure=disclosure(sponsors),
            chosen_index=choice.index,
            weights=choice.weights,
            probabilities=tuple(outcome.allocation.pi.tolist()),
            effective_sample_size=outcome.allocation.effective_sample_size,
            draw=Draw(
                algorithm=ALGORITHM, key_sha256=self.key_digest, scored_sha256=event.digest, u=f"{choice.u:032x}"
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


def disclosure(sponsors: Sequence[Sponsor]) -> str:
    """What the reader of the reply is told."""
    parts = (
        f"{sponsor.name} changed the probability of this reply "
        f"from {sponsor.probability_without:.2%} to {sponsor.probability_with:.2%}"
        for sponsor in sponsors
    )
    return f"Sponsored. {'; '.join(parts)}."


def _follow(event: Event[CandidatesScored], data: ReplySettled) -> Event[ReplySettled]:
    return event.follow(data, source=SOURCE, auction_id=data.auction_id, time=event.time)


def _without_auction(scored: CandidatesScored) -> ReplySettled:
    """The advert-free reply: nobody took part, or the auction is void; nobody pays."""
    void = scored.void_reason is not None
    return ReplySettled(
        query_id=scored.query_id,
        auction_id=scored.auction_id,
        submitted_at=scored.submitted_at,
        outcome="void" if void else "no_advertisers",
        void_reason=scored.void_reason,
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


def _auction(event: Event[CandidatesScored], bidders: Sequence[Bidder]) -> Auction:
    scored = event.data
    return Auction(
        auction_id=scored.auction_id,
        scored_digest=event.digest,
        log_q=np.array([candidate.log_q for candidate in scored.candidates]),
        log_ref=np.array(scored.log_ref),
        rewards=np.array([scored.rewards_micros[bidder.advertiser_id] for bidder in bidders]),
        tau=scored.tau_micros_per_nat,
        payment_rule=scored.payment_rule,
    )


def _sponsors(bidders: Sequence[Bidder], outcome: Outcome) -> tuple[Sponsor, ...]:
    chosen = outcome.choice.index
    with_all = float(outcome.allocation.pi[chosen])
    without = [min(1.0, math.exp(log_p)) for log_p in outcome.allocation.log_pi_without[:, chosen].tolist()]
    return tuple(
        Sponsor(
            advertiser_id=bidder.advertiser_id,
            name=bidder.name,
            probability_with=with_all,
            probability_without=probability,
        )
        for bidder, probability in zip(bidders, without, strict=True)
    )


def _charges(
    event: Event[CandidatesScored], settled: Event[ReplySettled], bidders: Sequence[Bidder], outcome: Outcome
) -> list[Event[AdvertiserCharged]]:
    """One charge for each sponsor of the settled reply, in its order."""
    scored, reply = event.data, settled.data
    charges = (
        AdvertiserCharged(
            charge_id=id_,
            query_id=scored.query_id,
            auction_id=scored.auction_id,
            advertiser_id=bidder.advertiser_id,
            name=bidder.name,
            charge_micros=charge,
            currency=scored.currency,
            payment_rule=scored.payment_rule,
            tau_micros_per_nat=scored.tau_micros_per_nat,
            bound_micros=charge_bound(*bidder.reward_range_micros, scored.tau_micros_per_nat),
            probability_with=sponsor.probability_with,
            probability_without=sponsor.probability_without,
            scored_sha256=event.digest,
            settled_sha256=settled.digest,
            submitted_at=scored.submitted_at,
        )
        for bidder, sponsor, id_, charge in zip(bidders, reply.sponsors, reply.charge_ids, outcome.charges, strict=True)
    )
    return [event.follow(charge, source=SOURCE, auction_id=scored.auction_id, time=event.time) for charge in charges]
