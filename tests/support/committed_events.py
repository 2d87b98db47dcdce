"""Small events as the stages publish them, for tests of what follows a commit."""

from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.auction import Abstention, Candidate, CandidatesGenerated, CandidatesScored, Engine
from schemas.auction import Sampling as SamplingUsed
from schemas.billing import AdvertiserCharged
from schemas.envelope import Event
from schemas.identity import derive
from schemas.incentive import Gap, IncentiveMeasured
from schemas.payload import Payload
from schemas.query import Question
from schemas.reasons import AbstentionReason, VoidReason
from schemas.reply import ReplySettled
from schemas.topics import topic_of

SUBMITTED_AT = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def event_of(data: Payload) -> Event[Payload]:
    """The payload in an envelope, as after a commit."""
    key = getattr(data, topic_of(data).key)
    return Event(
        data=data,
        value=data.encode(),
        id=derive("test", data.event_type, key),
        source="urn:tessera:test",
        subject=key,
        time=SUBMITTED_AT,
        correlation_id=data.query_id,  # type: ignore[attr-defined]  # all of them have one
    )


def generated(query_id: str = "query-1", *, candidates: int = 3) -> Event[Payload]:
    """CandidatesGenerated with so many candidates."""
    return event_of(CandidatesGenerated(**_generated(query_id, candidates)))


def scored(query_id: str = "query-1", *, candidates: int = 3) -> Event[Payload]:
    """CandidatesScored of an auction in which nobody takes part."""
    return event_of(
        CandidatesScored(
            **_generated(query_id, candidates),
            log_ref=(-2.0,) * candidates,
            rewards_micros={},
            clamped={},
            tau_micros_per_nat=1_000,
            currency="USD",
            payment_rule="offset",
            scoring_duration_s=0.1,
        )
    )


def sold(
    query_id: str = "query-1", *, effective_sample_size: float = 2.0, candidates: int = 4, **more: Any
) -> Event[Payload]:
    """ReplySettled of an auction that was held."""
    fields = {
        "outcome": "sold",
        "sponsored": True,
        "chosen_index": 0,
        "weights": (1,) * candidates,
        "probabilities": (1 / candidates,) * candidates,
        "effective_sample_size": effective_sample_size,
    }
    return event_of(ReplySettled(**{**_settled(query_id), **fields, **more}))


def not_sold(query_id: str = "query-1", *, void_reason: VoidReason | None = None, **more: Any) -> Event[Payload]:
    """ReplySettled without advertisers, or void for a reason."""
    outcome = "no_advertisers" if void_reason is None else "void"
    return event_of(ReplySettled(**{**_settled(query_id), "outcome": outcome, "void_reason": void_reason, **more}))


def charged(
    query_id: str = "query-1", advertiser_id: str = "seeds", *, charge_micros: int = 1_500, currency: str = "USD"
) -> Event[Payload]:
    """AdvertiserCharged: one line of the bill."""
    return event_of(
        AdvertiserCharged(
            charge_id=derive("charge", query_id, advertiser_id),
            query_id=query_id,
            auction_id=derive("auction", query_id),
            advertiser_id=advertiser_id,
            name="Organic Seeds",
            charge_micros=charge_micros,
            currency=currency,
            payment_rule="offset",
            tau_micros_per_nat=1_000,
            bound_micros=max(charge_micros, 10**9),
            probability_with=0.75,
            probability_without=0.25,
            scored_sha256=derive("scored", query_id),
            settled_sha256=derive("settled", query_id),
            submitted_at=SUBMITTED_AT,
        )
    )


def measured(query_id: str, *gaps_micros: float) -> Event[Payload]:
    """What a search for lies found, one bidder after the other."""
    gaps = [
        Gap(advertiser_id=f"advertiser-{place:02}", gap_micros=gap, gap_billed_micros=gap, lie="scaled")
        for place, gap in enumerate(gaps_micros)
    ]
    return event_of(
        IncentiveMeasured(
            query_id=query_id,
            auction_id=derive("auction", query_id),
            scored_sha256=derive("scored", query_id),
            submitted_at=SUBMITTED_AT,
            payment_rule="offset",
            currency="USD",
            lies_tried=160,
            gaps=tuple(gaps),
            largest_gap_micros=max(gaps_micros),
        )
    )


def abstention(reason: AbstentionReason, advertiser_id: str = "seeds") -> Abstention:
    """An advertiser that had no influence."""
    return Abstention(advertiser_id=advertiser_id, reason=reason)


def _generated(query_id: str, candidates: int) -> dict[str, Any]:
    return {
        "query_id": query_id,
        "auction_id": derive("auction", query_id),
        "submitted_at": SUBMITTED_AT,
        "deadline": SUBMITTED_AT + timedelta(minutes=1),
        "question": Question(text="What should I plant?"),
        "advertisers": (),
        "abstentions": (),
        "engine": Engine(name="null", version="1", model_sha256=derive("model"), tokenizer_sha256=derive("tokenizer")),
        "sampling": SamplingUsed(
            proposal="reference",
            temperature=1.0,
            top_p=1.0,
            max_tokens=8,
            proposal_prompt_sha256=derive("prompt"),
            reference_prompt_sha256=derive("prompt"),
        ),
        "candidates": tuple(_candidate(index) for index in range(candidates)),
        "fallback": _candidate(0),
    }


def _candidate(index: int) -> Candidate:
    return Candidate(index=index, token_ids=(1, 2), text="Peas.", log_q=-2.0, finished=True)


def _settled(query_id: str) -> dict[str, Any]:
    return {
        "query_id": query_id,
        "auction_id": derive("auction", query_id),
        "submitted_at": SUBMITTED_AT,
        "reply": "Peas.",
        "sponsored": False,
        "disclosure": "",
        "weights": (),
        "probabilities": (),
        "effective_sample_size": 0.0,
        "sponsors": (),
        "abstentions": (),
        "charge_ids": (),
        "total_charge_micros": 0,
        "currency": "USD",
    }
