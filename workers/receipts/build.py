"""The two receipts of a sale: pure functions of its events, the epoch's commitment and, where it is known, its key."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from schemas.auction import Bidder, Candidate, CandidatesScored
from schemas.billing import AdvertiserCharged
from schemas.draw import query_parts
from schemas.receipt import (
    AdvertiserReceipt,
    AuditorReceipt,
    Bill,
    CandidateReceipt,
    ChargeTerms,
    Declaration,
    DrawReceipt,
    Member,
    PartyReceipt,
    Verification,
)
from workers.errors import ReceiptError
from workers.mechanism.allocation import Floats
from workers.mechanism.draw import pick, uniform
from workers.receipts.sale import Party, Sale, Worked, work_out


@dataclass(frozen=True, slots=True)
class _Share:
    """What the auction without one party would have been, and what the difference costs."""

    probabilities_without: tuple[float, ...]
    log_probabilities_without: tuple[float, ...]
    charge: ChargeTerms


def auditor_receipt(sale: Sale) -> AuditorReceipt:
    """Everything of a sale. Raises ReceiptError."""
    scored, worked = sale.scored.data, work_out(sale)
    return AuditorReceipt(
        **_auction(sale, worked),
        disclosure=sale.settled.data.disclosure,
        engine=scored.engine,
        reference_engine=scored.scoring_engine or scored.reference_engine,
        sampling=scored.sampling,
        candidates=tuple(map(_candidate, scored.candidates, scored.log_ref)),
        parties=tuple(_party(sale, worked, index) for index in range(len(worked.parties))),
        abstentions=sale.settled.data.abstentions,
        total_charge_micros=sale.settled.data.total_charge_micros,
    )


def advertiser_receipt(sale: Sale, advertiser: str) -> AdvertiserReceipt:
    """What one advertiser, by its id or its name, is shown: of the others nothing but their number.

    ReceiptError: it took no part, or two have the name.
    """
    worked = work_out(sale)
    advertiser_id = _id_of(sale.scored.data.advertisers, advertiser)
    index, party = _find(worked.parties, advertiser_id, sale)
    bidder = next(one for one in party.members if one.advertiser_id == advertiser_id)
    share = _share(worked, index)
    return AdvertiserReceipt(
        **_auction(sale, worked),
        disclosure=_own_disclosure(sale, advertiser_id),
        candidate_count=len(sale.scored.data.candidates),
        advertiser=declaration(sale.scored.data, bidder),
        bill=_bill(sale, advertiser_id),
        party_members=len(party.members),
        carries_charge=party.payer == advertiser_id,
        other_advertisers=sum(len(one.members) for one in worked.parties) - len(party.members),
        probabilities_without=share.probabilities_without,
        log_probabilities_without=share.log_probabilities_without,
        charge=share.charge,
    )


def declaration(scored: CandidatesScored, bidder: Bidder) -> Declaration:
    """What an advertiser brought to an auction."""
    return Declaration(
        advertiser_id=bidder.advertiser_id,
        name=bidder.name,
        description_sha256=digest(bidder.description),
        link_group=bidder.link_group,
        value_micros_per_nat=bidder.value_micros_per_nat,
        reward_range_micros=bidder.reward_range_micros,
        clamped=scored.clamped.get(bidder.advertiser_id, 0),
        rewards_micros=scored.rewards_micros[bidder.advertiser_id],
        reward_origin=scored.reward_origins.get(bidder.advertiser_id),
    )


def digest(text: str) -> str:
    """SHA-256 of a text in UTF-8, hexadecimal."""
    return sha256(text.encode()).hexdigest()


def _auction(sale: Sale, worked: Worked) -> dict[str, Any]:
    """The fields that both receipts have."""
    scored, allocation = sale.scored.data, worked.allocation
    return {
        "query_id": scored.query_id,
        "auction_id": scored.auction_id,
        "submitted_at": scored.submitted_at,
        "scored_sha256": sale.scored.digest,
        "settled_sha256": sale.settled.digest,
        "question": scored.question,
        "reply": sale.settled.data.reply,
        "currency": scored.currency,
        "payment_rule": scored.payment_rule,
        "tau_micros_per_nat": scored.tau_micros_per_nat,
        "probabilities": _probabilities(allocation.pi),
        "log_probabilities": _logarithms(allocation.log_pi),
        "draw": _draw(sale),
    }


def _draw(sale: Sale) -> DrawReceipt:
    draw, known, committed = sale.draw, sale.known, sale.committed
    return DrawReceipt(
        algorithm=draw.algorithm,
        epoch=draw.epoch,
        key_sha256=draw.key_sha256,
        committed_key_sha256=committed.key_sha256 if committed else None,
        committed_at=committed.committed_at if committed else None,
        key=known.key.key.hex() if known and known.public and draw.epoch else None,
        query_record=draw.query_record,
        u=draw.u,
        weights=sale.settled.data.weights,
        chosen_index=sale.chosen,
        verification=_verification(sale),
    )


def _verification(sale: Sale) -> Verification:
    """The draw repeated with the key, where it is known and is the one that was used."""
    if sale.known is None or sale.known.key.sha256 != sale.draw.key_sha256:
        return "key_unknown"
    scored = sale.scored.data
    u = uniform(sale.known.key.key, scored.auction_id, sale.scored.digest, query_parts(scored.query_record))
    repeated = f"{u:032x}" == sale.draw.u and pick(sale.settled.data.weights, u) == sale.chosen
    kept = sale.committed is None or sale.committed.key_sha256 == sale.draw.key_sha256
    return "verified" if repeated and kept else "failed"


def _candidate(candidate: Candidate, log_ref: float) -> CandidateReceipt:
    return CandidateReceipt(
        index=candidate.index,
        text=candidate.text,
        text_sha256=digest(candidate.text),
        token_ids_sha256=digest(",".join(map(str, candidate.token_ids))),
        tokens=len(candidate.token_ids),
        finished=candidate.finished,
        log_q=candidate.log_q,
        log_ref=log_ref,
    )


def _party(sale: Sale, worked: Worked, index: int) -> PartyReceipt:
    share = _share(worked, index)
    return PartyReceipt(
        members=tuple(
            Member(declaration=declaration(sale.scored.data, bidder), bill=_bill(sale, bidder.advertiser_id))
            for bidder in worked.parties[index].members
        ),
        probabilities_without=share.probabilities_without,
        log_probabilities_without=share.log_probabilities_without,
        charge=share.charge,
    )


def _share(worked: Worked, index: int) -> _Share:
    without = worked.allocation.log_pi_without[index]
    charge = float(worked.charges[index])
    terms = ChargeTerms(
        influence_nats=float(worked.allocation.influence[index]),
        before_rounding_micros=charge,
        rounded_micros=round(charge),
    )
    return _Share(_probabilities(np.exp(without)), _logarithms(without), terms)


def _bill(sale: Sale, advertiser_id: str) -> Bill:
    bill = _charged(sale, advertiser_id)
    return Bill(charge_id=bill.charge_id, charge_micros=bill.charge_micros, bound_micros=bill.bound_micros)


def _charged(sale: Sale, advertiser_id: str) -> AdvertiserCharged:
    for bill in sale.bills:
        if bill.data.advertiser_id == advertiser_id:
            return bill.data
    raise ReceiptError(f"query {sale.scored.data.query_id} has no bill for {advertiser_id}, who took part")


def _own_disclosure(sale: Sale, advertiser_id: str) -> str:
    """The advertiser's own sentence of the disclosure; the others' names stay out of its receipt."""
    bill = _charged(sale, advertiser_id)
    change = f"from {bill.probability_without:.2%} to {bill.probability_with:.2%}"
    name = f"“{bill.name}”" if sale.scored.data.query_record else bill.name
    return f"Sponsored. {name} changed the probability of this reply {change}."


def _id_of(bidders: Sequence[Bidder], advertiser: str) -> str:
    """The id of who is called so where it is no id itself; what nobody is called stays as it is."""
    if any(one.advertiser_id == advertiser for one in bidders):
        return advertiser
    called = [one.advertiser_id for one in bidders if one.name.casefold() == advertiser.casefold()]
    if len(called) > 1:
        raise ReceiptError(
            f"{len(called)} advertisers are called {advertiser}; say which by its id: {', '.join(called)}"
        )
    return called[0] if called else advertiser


def _find(parties: Sequence[Party], advertiser_id: str, sale: Sale) -> tuple[int, Party]:
    for index, party in enumerate(parties):
        if any(bidder.advertiser_id == advertiser_id for bidder in party.members):
            return index, party
    query_id = sale.scored.data.query_id
    for one in sale.settled.data.abstentions:
        if one.advertiser_id == advertiser_id:
            raise ReceiptError(
                f"{advertiser_id} had no influence on {query_id} and pays nothing for it: {one.reason.name}"
            )
    raise ReceiptError(
        f"{advertiser_id} took no part in the auction of {query_id}; the auditor's receipt (without --advertiser) "
        "names everybody who did"
    )


def _probabilities(values: Floats) -> tuple[float, ...]:
    return tuple(np.minimum(values, 1.0).tolist())


def _logarithms(values: Floats) -> tuple[float, ...]:
    return tuple(np.minimum(values, 0.0).tolist())
