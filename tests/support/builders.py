"""Small valid events in their envelopes, records around them, and all numbers from a seed: what every test begins with.

`candidates` and `advertisers` are how many, or the very ones; `changes` replace other fields of the payload, so that a
test shows only what it is about.
"""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any, TypeVar

from schemas.advertiser import AdvertiserProfile
from schemas.auction import Bidder, Candidate, CandidatesGenerated, CandidatesScored, Engine, Sampling
from schemas.billing import AdvertiserCharged, AdvertiserCredited
from schemas.draw import QueryRecord
from schemas.envelope import Event
from schemas.identity import derive
from schemas.incentive import Gap, IncentiveMeasured
from schemas.payload import Payload
from schemas.query import Advertiser, QuerySubmitted, Question
from schemas.record import Headers, Outgoing, Record
from schemas.reply import ReplySettled
from schemas.settled import QuerySettled
from schemas.terms import NamedModel, TermsPublished
from schemas.topics import QUERIES, Topic, topic_of
from workers.draw_keys import commitment
from workers.ledger.credits import Correction, issue
from workers.mechanism.epochs import EpochKey, epoch_key, epoch_of
from workers.settlement import Settled, settle_event

T = TypeVar("T")

SUBMITTED_AT = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)
DEADLINE = datetime(2100, 1, 1, tzinfo=UTC)  # ahead of every clock, a fake one and the real one
DRAW_KEY = b"draw key of the tests, known to everyone"
TAU_MICROS_PER_NAT = 1_000
END_TOKEN = 2  # of both engines; ids below 260 are in both vocabularies
TRADES = ("selling organic seeds", "repairing bicycles", "teaching the cello", "renting out canoes")


def make_advertiser(index: int = 0, **changes: Any) -> Advertiser:
    """Advertiser `index`, at most 64 of them: distinct ids and names."""
    fields: dict[str, Any] = {
        "advertiser_id": f"advertiser-{index:02}",
        "name": f"Brand{index:02}",
        "description": TRADES[index % len(TRADES)],
        "value_micros_per_nat": 500 + 100 * index,
    }
    return Advertiser(**(fields | changes))


def make_profile(index: int = 0, **changes: Any) -> AdvertiserProfile:
    """The profile of advertiser `index`, approved."""
    advertiser = make_advertiser(index)
    fields: dict[str, Any] = {
        "advertiser_id": advertiser.advertiser_id,
        "version": 2,
        "status": "approved",
        "name": advertiser.name,
        "description": advertiser.description,
        "value_micros_per_nat": advertiser.value_micros_per_nat,
        "currency": "USD",
        "changed_by": "tests",
    }
    return AdvertiserProfile(**(fields | changes))


def make_bidder(index: int = 0, **changes: Any) -> Bidder:
    """The same advertiser once it takes part: with a range of ± 50 nats' worth."""
    advertiser = make_advertiser(index)
    limit = 50 * advertiser.value_micros_per_nat
    fields = {name: getattr(advertiser, name) for name in Advertiser.model_fields}
    return Bidder(**(fields | {"reward_range_micros": (-limit, limit)} | changes))


def make_candidate(index: int = 0, seed: int = 0, **changes: Any) -> Candidate:
    """Candidate `index`: 3 to 8 tokens, every other one finished."""
    rng = random.Random(f"candidate {seed} {index}")
    finished = index % 2 == 0
    token_ids = (*(rng.randrange(4, 260) for _ in range(rng.randint(2, 7))), END_TOKEN if finished else 17)
    fields: dict[str, Any] = {
        "index": index,
        "token_ids": token_ids,
        "text": f"Reply {index} of auction {seed}.",
        "log_q": -rng.uniform(1.0, 9.0),
        "finished": finished,
    }
    return Candidate(**(fields | changes))


def make_query(seed: int = 0, *, advertisers: int | Sequence[Advertiser] = 2, **changes: Any) -> Event[QuerySubmitted]:
    """Query number `seed`; without a deadline of its own, so that it never expires by the calendar."""
    fields: dict[str, Any] = {
        "query_id": f"query-{seed}",
        "text": f"How do I plant beans in week {seed}?",
        "language": "en",
        "category": "gardening",
        "advertising_consent": True,
        "advertisers": _each(make_advertiser, advertisers),
    }
    return envelop(QuerySubmitted(**(fields | changes)), origin=(QUERIES.name, "0", str(seed)))


def make_generated(
    seed: int = 0, *, candidates: int | Sequence[Candidate] = 4, advertisers: int | Sequence[Bidder] = 2, **changes: Any
) -> Event[CandidatesGenerated]:
    """The candidates of query number `seed`."""
    return envelop(CandidatesGenerated(**(_generated(seed, candidates, advertisers) | changes)))


def make_scored(
    seed: int = 0, *, candidates: int | Sequence[Candidate] = 4, advertisers: int | Sequence[Bidder] = 2, **changes: Any
) -> Event[CandidatesScored]:
    """The same candidates with a number for each: weights within 2 nats, rewards within ± 3 τ."""
    rng, fields = random.Random(f"scores {seed}"), _generated(seed, candidates, advertisers)
    ids = [bidder.advertiser_id for bidder in fields["advertisers"]]
    scores: dict[str, Any] = {
        "log_ref": tuple(candidate.log_q - rng.uniform(0.0, 2.0) for candidate in fields["candidates"]),
        "rewards_micros": {id_: tuple(rng.uniform(-3_000.0, 3_000.0) for _ in fields["candidates"]) for id_ in ids},
        "clamped": {},
        "tau_micros_per_nat": TAU_MICROS_PER_NAT,
        "currency": "USD",
        "payment_rule": "offset",
        "draw_epoch": epoch_of(SUBMITTED_AT),
        "scoring_duration_s": 0.125,
    }
    return envelop(CandidatesScored(**(fields | scores | changes)))


def name_query(scored: CandidatesScored, sha256: str = "ab" * 32) -> CandidatesScored:
    """The same auction as of a query whose record the event names: it is drawn by draw-v2."""
    record = QueryRecord(origin=(QUERIES.name, "0", "7"), sha256=sha256)
    fields = {name: getattr(scored, name) for name in CandidatesScored.model_fields}
    auction_id = derive("auction", *record.origin, scored.query_id)
    return CandidatesScored(**(fields | {"query_record": record, "auction_id": auction_id}))


class Keys:
    """Keys of the draw without a topic to commit to them on; each is derived once, as in production."""

    def __init__(self) -> None:
        self._derive = lru_cache(partial(epoch_key, DRAW_KEY))

    async def key(self, epoch: str | None, at: datetime | None = None) -> EpochKey:
        return self._derive(epoch)


def settle(scored: Event[CandidatesScored], secret: bytes = DRAW_KEY) -> Sequence[Settled]:
    """The scored event settled under the key of its epoch."""
    return settle_event(scored, epoch_key(secret, scored.data.draw_epoch))


def make_settled(scored: Event[CandidatesScored]) -> tuple[Event[ReplySettled], list[Event[AdvertiserCharged]]]:
    """What settlement makes of a scored event under the tests' key: the reply, and the bills."""
    reply, *bills = settle(scored)
    return reply, bills  # type: ignore[return-value]  # the first is the reply, the others are bills


def make_events(seed: int = 0) -> list[Event[Payload]]:
    """One event of every type, of one auction: the commitment to its draw, lies that did not pay, its id's memory.

    And a profile of its first advertiser.
    """
    scored = make_scored(seed)
    reply, bills = make_settled(scored)
    key = commitment(epoch_key(DRAW_KEY, scored.data.draw_epoch), SUBMITTED_AT)
    gap = Gap(advertiser_id="advertiser-00", gap_micros=-2.5, gap_billed_micros=-3.0, lie="scaled")
    measured = IncentiveMeasured(
        query_id=scored.data.query_id,
        auction_id=scored.data.auction_id,
        scored_sha256=scored.digest,
        submitted_at=scored.data.submitted_at,
        payment_rule="offset",
        currency="USD",
        lies_tried=160,
        gaps=(gap,),
        largest_gap_micros=-2.5,
    )
    used = QuerySettled(
        query_id=scored.data.query_id,
        auction_id=scored.data.auction_id,
        settled_sha256=reply.digest,
        scored_sha256=scored.digest,
    )
    credit = make_credit(bills[0])
    return [
        *(make_query(seed), make_generated(seed), scored, reply, bills[0]),
        *(key, envelop(measured), envelop(used), credit, envelop(make_profile()), make_terms()),
    ]


def make_terms(**changes: Any) -> Event[TermsPublished]:
    """A notice of the terms that `make_scored` is held on; 12 days before it, the broker took it."""
    fields: dict[str, Any] = {
        "terms_id": "e" * 64,
        "in_force_from": SUBMITTED_AT - timedelta(days=12),
        "tau_micros_per_nat": TAU_MICROS_PER_NAT,
        "currency": "USD",
        "payment_rule": "offset",
        "draw": "draw-v1",
        "models": (NamedModel(name="test", model_sha256="a" * 64),),
        "candidates_least": 2,
        "candidates_most": 64,
        "max_tokens_least": 1,
        "max_tokens_most": 256,
    }
    return envelop(TermsPublished(**(fields | changes)))


def make_credit(
    bill: Event[AdvertiserCharged], micros: int | None = None, key: str = "first", reason: str = "shown to a test user"
) -> Event[AdvertiserCredited]:
    """A credit of the bill, of all that it charges or of so many micros."""
    issued = issue(bill, (), Correction(micros, reason, key), SUBMITTED_AT)
    assert issued is not None
    return issued


def envelop(data: Payload, *, origin: tuple[str, ...] = (), **changes: Any) -> Event[Any]:
    """The payload as an event, as its stage would publish it."""
    subject = str(getattr(data, topic_of(data).key))
    fields: dict[str, Any] = {
        "data": data,
        "value": data.encode(),
        "id": derive("event", data.event_type, subject),
        "source": "urn:tessera:test",
        "subject": subject,
        "time": SUBMITTED_AT,
        "correlation_id": getattr(data, "query_id", None) or subject,
        "expiry_time": getattr(data, "stated_deadline", None),
        "origin": origin,
    }
    return Event(**(fields | changes))


def make_record(
    what: Event[Any] | bytes | None,
    topic: Topic = QUERIES,
    *,
    key: bytes | None = None,
    headers: Headers = (),
    partition: int = 0,
    offset: int = 0,
    timestamp_ms: int = 1_795_435_200_250,  # SUBMITTED_AT
    by_broker: bool = False,
) -> Record:
    """The record a reader finds: an event as it is written, or a bare value as a stranger sends it."""
    written = what.to_record() if isinstance(what, Event) else Outgoing(topic.name, key, what, headers)
    return Record(
        written.topic, written.key, written.value, written.headers, partition, offset, timestamp_ms, by_broker
    )


def _generated(seed: int, candidates: int | Sequence[Candidate], advertisers: int | Sequence[Bidder]) -> dict[str, Any]:
    query_id = f"query-{seed}"
    return {
        "query_id": query_id,
        "auction_id": derive("auction", query_id),
        "submitted_at": SUBMITTED_AT,
        "received_at": SUBMITTED_AT,
        "deadline": DEADLINE,
        "deadline_stated": True,
        "question": Question(text=f"How do I plant beans in week {seed}?", language="en", category="gardening"),
        "advertisers": _each(make_bidder, advertisers),
        "abstentions": (),
        "engine": Engine(name="test", version="1", model_sha256="a" * 64, tokenizer_sha256="b" * 64),
        "sampling": Sampling(
            proposal="context_aware",
            temperature=1.0,
            top_p=1.0,
            max_tokens=8,
            proposal_prompt_sha256="c" * 64,
            reference_prompt_sha256="d" * 64,
        ),
        "candidates": _each(partial(make_candidate, seed=seed), candidates if advertisers else 0),
        "fallback": make_candidate(0, seed, text=f"Advert-free reply of auction {seed}."),
    }


def _each(make: Callable[[int], T], wanted: int | Sequence[T]) -> tuple[T, ...]:
    """So many, numbered from 0, or the ones given."""
    return tuple(make(index) for index in range(wanted)) if isinstance(wanted, int) else tuple(wanted)
