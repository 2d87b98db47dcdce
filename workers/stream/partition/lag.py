"""How far a stage is behind: records that are stored and not committed, and how long the oldest of them has waited."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.record import Record
from workers.stream.offsets import Completion
from workers.stream.partition.fetcher import Fetching
from workers.stream.partition.state import PartitionState

PERIOD_S, ANSWER_WITHIN_S = 2.0, 5.0


class LagObserver(Protocol):
    """Who is told of a stage's lag in this process: how many records, and seconds since the oldest was stored."""

    def lag(self, stage: str, records: int, age_s: float) -> None: ...


class Uncommitted:
    """When the records were stored that were delivered and are not committed, in the order of their offsets."""

    def __init__(self) -> None:
        self._stored: deque[tuple[int, float]] = deque()

    def delivered(self, records: Sequence[Record]) -> None:
        """By the broker's stamp. Where that is the producer's, who may write anything, from now on."""
        if self._stored and records and records[0].offset < self._stored[0][0]:
            self._stored.clear()  # somebody set the offset back: all of them are delivered again
        newest, now_s = self._stored[-1][0] if self._stored else -1, time.time()
        self._stored.extend(
            (record.offset, record.timestamp_ms / 1000 if record.stamped_by_broker else now_s)
            for record in records
            if record.offset > newest
        )

    def oldest_s(self, committed: Completion) -> float | None:
        """When the oldest was stored, seconds since 1970; None: there is none."""
        while self._stored and (self._stored[0][0] < committed.base or self._stored[0][0] in committed.done):
            self._stored.popleft()
        return self._stored[0][1] if self._stored else None


class MeasuredPartition(Protocol):
    """What of a partition's actor is needed here."""

    partition: TopicPartition
    state: PartitionState
    fetching: Fetching

    @property
    def ready(self) -> bool:
        """Whether it is open: its position is read."""


class LagMeter:
    """Tells the lag of one stage in this process, every PERIOD_S, over the partitions that are open.

    Where fetching is paused (backpressure), Kafka is asked for the partition's end: what a fetch said of it is old.
    """

    def __init__(self, stage: str, consumer: Any, observer: LagObserver) -> None:
        self._stage, self._consumer, self._observer = stage, consumer, observer
        self._uncommitted: dict[TopicPartition, Uncommitted] = {}
        self._task: asyncio.Task[None] | None = None

    def noted(self, partition: TopicPartition, records: Sequence[Record]) -> Sequence[Record]:
        """The same records, which are delivered now: of one partition, in order; some may have been before."""
        self._uncommitted.setdefault(partition, Uncommitted()).delivered(records)
        return records

    def start(self, actors: Callable[[], Collection[MeasuredPartition]]) -> None:
        """Measure from now on, in a task; `actors` gives those that are owned whenever it is asked."""
        self._task = asyncio.create_task(self._run(actors))

    def check(self) -> None:
        """Raises what ended the measuring, if it has ended: a bug of ours."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    def stop(self) -> None:
        """No more measuring."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self, actors: Callable[[], Collection[MeasuredPartition]]) -> None:
        while True:
            owned = actors()
            self._forget_all_but({actor.partition for actor in owned})
            ready = [actor for actor in owned if actor.ready]
            ends = await self._ends([actor.partition for actor in ready if actor.state.is_paused])
            behind = sum(_records(actor, ends.get(actor.partition, 0)) for actor in ready)
            self._observer.lag(self._stage, behind, self._age_s(ready))
            await asyncio.sleep(PERIOD_S)

    def _forget_all_but(self, owned: Collection[TopicPartition]) -> None:
        self._uncommitted = {at: one for at, one in self._uncommitted.items() if at in owned}

    def _age_s(self, actors: Sequence[MeasuredPartition]) -> float:
        """Of the oldest record by our clock; `tessera doctor` compares that with the brokers'."""
        known = ((self._uncommitted.get(actor.partition), actor.state.committed) for actor in actors)
        stored = (one.oldest_s(committed) for one, committed in known if one is not None)
        now_s = time.time()
        return max((now_s - at_s for at_s in stored if at_s is not None and at_s < now_s), default=0.0)

    async def _ends(self, paused: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Nothing where Kafka does not answer: then what was fetched is the least that there is."""
        if not paused:
            return {}
        try:
            ends: Mapping[TopicPartition, int] = await asyncio.wait_for(
                self._consumer.end_offsets(paused), ANSWER_WITHIN_S
            )
        except (KafkaError, TimeoutError):
            return {}
        return ends


def _records(actor: MeasuredPartition, end: int) -> int:
    """Stored and not committed; markers of transactions count until they are passed."""
    committed = actor.state.committed
    end = max(end, actor.fetching.stable_end(), actor.state.next_offset)
    return max(0, end - committed.base - len(committed.done))
