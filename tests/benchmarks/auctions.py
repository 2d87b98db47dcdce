"""Auctions of realistic size for benchmarks: M=20 candidates of about 50 tokens, two advertisers, null engine."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

from schemas.auction import CandidatesScored
from schemas.draw import QueryRecord
from schemas.envelope import Event
from schemas.identity import derive
from schemas.topics import QUERIES
from tests.support.builders import make_query
from workers.engines.null import NullEngine
from workers.generation import Generation, Policy
from workers.pipeline import now
from workers.rewards.log_ratio import LogRatio
from workers.scoring import Scoring, Terms
from workers.seeds import UncommittedKeys

CANDIDATES = 20


async def scored_auctions(count: int) -> Sequence[Event[CandidatesScored]]:
    """Scored events as the pipeline publishes them."""
    engine = NullEngine()
    policy = Policy("context_aware", CANDIDATES, 96, timedelta(hours=1), 50.0, UncommittedKeys(b"", now))
    generation, scoring = (
        Generation(engine, policy, now),
        Scoring(engine, LogRatio(engine), Terms(1_000, "USD", "offset"), now),
    )
    found: list[Event[CandidatesScored]] = []
    for seed in range(count):
        (generated,) = await generation.handle(make_query(seed))
        found += await scoring.handle(generated)
    return found


def renamed(event: Event[CandidatesScored], number: int) -> Event[CandidatesScored]:
    """The same auction under ids of its own."""
    query_id = f"query-{number}"
    origin = (QUERIES.name, "0", str(number))
    record = QueryRecord(origin=origin, sha256=sha256(query_id.encode()).hexdigest())
    ids = {"query_id": query_id, "auction_id": derive("auction", *origin, query_id), "query_record": record}
    data = event.data.model_copy(update=ids)
    return replace(event, data=data, value=data.encode(), subject=query_id, correlation_id=query_id)
