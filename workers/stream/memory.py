"""The bus without Kafka: topics are lists in this process, with one partition each. For the demo and for tests."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from schemas.record import Outgoing, Record
from workers.stage import Stage
from workers.stream.bus import Observer, Offsets
from workers.stream.deduplication.deduplicator import Once
from workers.stream.deduplication.restore import decoded
from workers.stream.outage import patient
from workers.stream.processing import process, report


class MemoryBus:
    """Nothing survives the process; a stage begins at the first record of its input topic."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._logs: defaultdict[str, list[Record]] = defaultdict(list)
        self._grown = asyncio.Condition()

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Append the records to their topics, and wake who reads them."""
        async with self._grown:
            for record in records:
                log = self._logs[record.topic]
                log.append(_stored(record, len(log)))
            self._grown.notify_all()

    @asynccontextmanager
    async def read(self, topics: Sequence[str]) -> AsyncIterator[AsyncIterator[Record]]:
        yield self._follow({topic: len(self._logs[topic]) for topic in topics})

    async def stored(
        self, topics: Sequence[str], key: bytes | None = None, since: Offsets | None = None
    ) -> AsyncGenerator[Record, None]:
        held = [record for topic in topics for record in self._logs[topic][(since or {}).get((topic, 0), 0) :]]
        for record in sorted(held, key=lambda record: record.timestamp_ms):
            yield record

    async def ends(self, topics: Sequence[str]) -> Offsets:
        return {(topic, 0): len(self._logs[topic]) for topic in topics}

    async def _follow(self, positions: dict[str, int]) -> AsyncIterator[Record]:
        while True:
            for topic in positions:
                while positions[topic] < len(self._logs[topic]):
                    positions[topic] += 1
                    yield self._logs[topic][positions[topic] - 1]
            async with self._grown:
                await self._grown.wait_for(lambda: any(len(self._logs[topic]) > at for topic, at in positions.items()))

    async def run(self, stages: Sequence[Stage], stop: asyncio.Event) -> None:
        """As `Bus.run`."""
        tasks = [asyncio.create_task(self._run_stage(stage)) for stage in stages]
        stopped: asyncio.Task[Any] = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()  # a stage ends only with an error
        finally:
            for task in (stopped, *tasks):
                task.cancel()
            await asyncio.gather(stopped, *tasks, return_exceptions=True)

    async def _run_stage(self, stage: Stage) -> None:
        """Up to `in_flight` records at once; results are published in the order of the input."""
        stage = patient(stage, self._observer)
        limit, once = asyncio.Semaphore(stage.in_flight), self._recollect(stage)
        previous: asyncio.Task[None] | None = None
        try:
            async with asyncio.TaskGroup() as group:
                async for record in self._follow({stage.spec.consumes.name: 0}):
                    await limit.acquire()
                    previous = group.create_task(self._work(stage, record, previous, limit, once))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    def _recollect(self, stage: Stage) -> Once:
        """The memory of the stage, from what it published before."""
        once = Once(stage.spec.remembers)
        if stage.spec.remembers is not None:
            for record in self._logs[stage.spec.remembers.name]:
                once.remember(decoded(stage.spec.remembers, record.partition, record))
        return once

    async def _work(
        self,
        stage: Stage,
        record: Record,
        previous: asyncio.Task[None] | None,
        limit: asyncio.Semaphore,
        once: Once,
    ) -> None:
        work = asyncio.create_task(process(stage, record, self._observer, once))
        try:
            await asyncio.wait([work])
            if previous is not None:
                await previous  # what was finished before a failure is published
            result = work.result()
            began = time.perf_counter()
            await self.publish(list(result.outgoing))
            self._observer.transaction(stage.spec.name, "committed", time.perf_counter() - began, 1)
            report([result], stage.spec.name, self._observer)
        finally:
            work.cancel()
            limit.release()


def _stored(record: Outgoing, offset: int) -> Record:
    now_ms = time.time_ns() // 1_000_000
    return Record(record.topic, record.key, record.value, record.headers, 0, offset, now_ms, stamped_by_broker=True)
