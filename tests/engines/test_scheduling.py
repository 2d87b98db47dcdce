"""Older auctions are served first, whichever of their calls it is, and scoring does not wait for drawing to end."""

import asyncio
from collections.abc import Iterator, Sequence
from contextvars import Context, copy_context
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stages.test_generation import POLICY
from tests.support.builders import SUBMITTED_AT, make_generated, make_query
from tests.support.fakes import Clock, drawn_by
from workers.engines.base import Prompt, Reply
from workers.engines.calls import Retrying, work_for_query_of
from workers.engines.null import NullEngine
from workers.engines.vllm_local.scheduling import BEHIND_SCORING, Scheduler
from workers.errors import EngineTimeout
from workers.generation import Generation
from workers.rewards.by_advertiser import ByAdvertiser
from workers.rewards.log_ratio import LogRatio
from workers.scoring import Scoring, Terms

TERMS = Terms(tau_micros_per_nat=1_000, currency="EUR", payment_rule="offset")
YOUNGER = timedelta(seconds=3)


class Queued(NullEngine):
    """Notes the turn of each call, and gives every other call no answer in time."""

    def __init__(self) -> None:
        super().__init__()
        self.turns, self.scored, self.drawn = Scheduler(8), list[int](), list[int]()

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        self.scored.append(self.turns.scoring().priority)
        late = len(self.scored) % 2
        await asyncio.sleep(0)
        if late:
            raise EngineTimeout("late")
        return await super().log_probs(prompt, replies)

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        self.drawn.append(self.turns.drawing().priority)
        return await super().sample(prompt, seeds=seeds, max_tokens=max_tokens)


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workers.engines.calls.PAUSES_S", (0.0,) * 9)
        yield


async def test_scoring_an_older_auctions_bids_precedes_scoring_a_younger_auctions_reference() -> None:
    """All of its calls have one place, so have those that are repeated."""
    queued = Queued()
    engine = Retrying(queued)
    scoring = Scoring(engine, ByAdvertiser(LogRatio(engine)), TERMS, Clock())
    young = make_generated(1, engine=drawn_by(engine), received_at=SUBMITTED_AT + YOUNGER)
    old = make_generated(2, engine=drawn_by(engine), received_at=SUBMITTED_AT)

    await asyncio.gather(scoring.handle(young), scoring.handle(old))

    assert len(queued.scored) > 6  # 3 each, and repetitions
    assert sorted(set(queued.scored)) == [
        round(at.timestamp() * 1_000) for at in (SUBMITTED_AT, SUBMITTED_AT + YOUNGER)
    ]


async def test_candidates_of_older_queries_are_drawn_first_and_after_all_scoring() -> None:
    queued = Queued()
    generation = Generation(queued, POLICY, Clock())
    young, old = (
        replace(make_query(seed), recorded_at=SUBMITTED_AT + after) for seed, after in ((1, YOUNGER), (2, timedelta()))
    )

    await asyncio.gather(generation.handle(young), generation.handle(old))

    assert queued.drawn == sorted(queued.drawn, reverse=True) and len(set(queued.drawn)) == 2
    assert min(queued.drawn) > queued.turns.scoring().priority


async def test_a_producers_clock_does_not_change_the_priority() -> None:
    """A query said to be of 1970 would be served first for ever; it has the turn of when the broker took it."""
    queued = Queued()
    engine = Retrying(queued)
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)
    query = replace(make_query(1), time=long_ago, recorded_at=SUBMITTED_AT)

    (generated,) = await Generation(queued, POLICY, Clock()).handle(query)
    data = generated.data.model_copy(update={"engine": drawn_by(engine)})
    await Scoring(engine, ByAdvertiser(LogRatio(engine)), TERMS, Clock()).handle(replace(generated, data=data))

    at_ms = round(SUBMITTED_AT.timestamp() * 1_000)
    assert (set(queued.drawn), set(queued.scored)) == ({BEHIND_SCORING + at_ms}, {at_ms})
    assert generated.data.submitted_at == long_ago  # it stays on record


async def test_without_a_broker_timestamp_the_workers_clock_gives_the_priority() -> None:
    queued, clock = Queued(), Clock(SUBMITTED_AT + YOUNGER)
    query = replace(make_query(1), time=datetime(1970, 1, 1, tzinfo=UTC))

    (generated,) = await Generation(queued, POLICY, clock).handle(query)

    assert set(queued.drawn) == {BEHIND_SCORING + round(clock.moment.timestamp() * 1_000)}
    assert generated.data.received_at == clock.moment


async def test_an_older_event_without_received_at_has_the_priority_of_its_broker_timestamp() -> None:
    queued = Queued()
    engine, recorded_at = Retrying(queued), SUBMITTED_AT + YOUNGER
    event = replace(make_generated(engine=drawn_by(engine), received_at=None), recorded_at=recorded_at)

    await Scoring(engine, ByAdvertiser(LogRatio(engine)), TERMS, Clock()).handle(event)

    assert set(queued.scored) == {round(recorded_at.timestamp() * 1_000)}


def turns_of(turns: Scheduler, received_at: datetime, within: Context) -> tuple[int, int]:
    within.run(work_for_query_of, received_at)
    return within.run(lambda: (turns.scoring().priority, turns.drawing().priority))


def test_drawing_never_precedes_scoring_whatever_the_dates() -> None:
    turns, first, last = Scheduler(8), datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)

    ancient, distant = (turns_of(turns, at, copy_context()) for at in (first, last))

    assert 0 <= ancient[0] < distant[0] < ancient[1] < distant[1] < 2**63


async def test_calls_outside_auctions_are_served_in_order() -> None:
    turns = Scheduler(8)

    assert [turns.scoring().priority for _ in range(3)] == [0, 1, 2]
    assert turns.drawing().priority < turns.drawing().priority


async def test_drawing_leaves_slots_free_for_scoring() -> None:
    turns = Scheduler(3)
    drawing, scoring = turns.drawing(), turns.scoring()

    await drawing.places.acquire()
    assert drawing.places.locked() and not scoring.places.locked()
    assert turns.drawing().places is drawing.places
