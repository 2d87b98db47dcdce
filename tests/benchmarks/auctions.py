"""Auctions of realistic size for benchmarks: M=20 candidates of about 50 tokens, two advertisers, null engine."""

from collections.abc import Sequence
from datetime import timedelta

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from tests.builders import make_query
from workers.engines.null import NullEngine
from workers.generation import Generation, Policy
from workers.pipeline import now
from workers.rewards.log_ratio import LogRatio
from workers.scoring import Scoring, Terms

CANDIDATES = 20


async def scored_auctions(count: int) -> Sequence[Event[CandidatesScored]]:
    """Scored events as the pipeline publishes them."""
    engine = NullEngine()
    policy = Policy("context_aware", CANDIDATES, 96, timedelta(hours=1), 50.0, b"")
    generation, scoring = (
        Generation(engine, policy, now),
        Scoring(engine, LogRatio(engine), Terms(1_000, "USD", "offset"), now),
    )
    found: list[Event[CandidatesScored]] = []
    for seed in range(count):
        (generated,) = await generation.handle(make_query(seed))
        found += await scoring.handle(generated)
    return found
