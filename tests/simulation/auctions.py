"""The real three stages on the null engine, in place of the one small stage: queries in, replies and bills out."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from schemas.billing import AdvertiserCharged
from schemas.reply import ReplySettled
from schemas.topics import CHARGED, GENERATED, QUERIES, SCORED, SETTLED, SETTLED_QUERIES
from tests.simulation.clock import Process
from tests.simulation.lives import Outcome
from tests.simulation.log import Stored
from tests.simulation.scenario import PARTITIONS
from tests.simulation.world import World
from tests.support.builders import Keys, make_query
from tests.support.fakes import Clock
from workers.engines.null import NullEngine
from workers.pipeline import PATH, STAGES, Means
from workers.stage import Stage
from workers.stream.partition.producer import place

QUERIES_PER_RUN = 8
LONGEST_WORK_S = 0.4
TOPICS = (QUERIES, GENERATED, SCORED, SETTLED, CHARGED, SETTLED_QUERIES)


class Slowly:
    """A worker that takes a while, so that processes die in the middle."""

    def __init__(self, worker: Any, rng: random.Random) -> None:
        self._worker, self._rng = worker, rng

    async def handle(self, event: Any) -> Any:
        await asyncio.sleep(self._rng.uniform(0, LONGEST_WORK_S))
        return await self._worker.handle(event)


class Jitter(Clock):
    """A clock by which no work takes as long as the last time: an auction scored twice has other bytes, as it would."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def __call__(self) -> datetime:
        return self.moment + timedelta(microseconds=self._rng.randrange(1_000))


class Auctions:
    """Every worker process runs all three stages; every group reads its own topic."""

    outputs = (SETTLED.name, CHARGED.name)

    def __init__(self, world: World) -> None:
        self._world, self._engine = world, NullEngine()
        self.inputs: dict[tuple[int, int], int] = {}
        for topic in TOPICS:
            for name in (topic.name, topic.dead_letters):
                world.broker.create(name, PARTITIONS)
        for name in PATH:
            world.broker.add_group(STAGES[name].group, STAGES[name].consumes.name)
            world.broker.create(STAGES[name].positions, PARTITIONS)

    def stages(self, process: Process) -> list[Stage]:
        means, clock = Means(self._world.scenario.settings, self._engine, Keys()), Jitter(self._world.rng)
        workers = {name: STAGES[name].build(means) for name in PATH}
        timed = {name: replace(workers[name], now=clock) for name in ("generation", "scoring")}  # type: ignore[type-var]
        return [Stage(STAGES[name], Slowly(worker, self._world.rng), 4) for name, worker in (workers | timed).items()]

    def plan_input(self) -> None:
        for seed in range(QUERIES_PER_RUN):
            self._world.loop.call_at(0.6 * seed, self._ask, seed)

    def _ask(self, seed: int) -> None:
        query = make_query(seed).to_record()
        assert query.key is not None
        self._world.broker.append(QUERIES.name, place(query.key, PARTITIONS), query.key, query.value)


def judge(outcome: Outcome) -> Iterator[str]:
    """One reply, or one dead letter, for each query, and exactly the bills that the reply names."""
    visible = everything_visible(outcome)
    yield from outcome.findings
    for group in outcome.broker.groups.values():
        yield from group.faults
    replies = [ReplySettled.decode(entry.value) for entry in visible[SETTLED.name]]
    letters = [entry for topic in TOPICS for entry in visible[topic.dead_letters]]
    ends = Counter([*(reply.query_id for reply in replies), *((entry.key or b"").decode() for entry in letters)])
    wanted = {(entry.key or b"").decode() for entry in visible[QUERIES.name]}
    if ends != Counter(wanted):
        yield f"queries {sorted(wanted)} end as {ends}"
    yield from _bills(visible)
    if reasons := [value for entry in letters for name, value in entry.headers if name == "dlq.reason"]:
        unexpected = [reason for reason in reasons if reason != b"CRASHED_WORKER"]
        yield from [f"refused: {reason!r}" for reason in unexpected]


def judge_money(outcome: Outcome) -> Iterator[str]:
    """What holds also where positions go back: no query without an end, none with two replies, no bill twice."""
    visible = everything_visible(outcome)
    yield from outcome.findings
    replies = Counter(ReplySettled.decode(entry.value).query_id for entry in visible[SETTLED.name])
    ended = {*replies, *((entry.key or b"").decode() for topic in TOPICS for entry in visible[topic.dead_letters])}
    yield from [f"query {id_} has {count} replies" for id_, count in replies.items() if count > 1]
    if lost := {(entry.key or b"").decode() for entry in visible[QUERIES.name]} - ended:
        yield f"queries {sorted(lost)} have no end"
    yield from _bills(visible)


def everything_visible(outcome: Outcome) -> dict[str, list[Stored]]:
    """The committed records of each topic."""
    return {name: [entry for log in logs for entry in log.visible()] for name, logs in outcome.broker.logs.items()}


def _bills(visible: Mapping[str, Sequence[Stored]]) -> Iterator[str]:
    replies = [ReplySettled.decode(entry.value) for entry in visible[SETTLED.name]]
    bills = Counter(AdvertiserCharged.decode(entry.value).charge_id for entry in visible[CHARGED.name])
    if {*bills.values()} - {1} or bills.keys() != {id_ for reply in replies for id_ in reply.charge_ids}:
        yield f"{sum(bills.values())} bills, {len(bills)} of them different, are not those that the replies name"
