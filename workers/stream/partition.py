"""The actor of one input partition: it owns the partition's transactional id, its position and its work in flight.

1. open: pause the partition, start a producer with the partition's id (this fences every earlier owner and settles its
   transaction), and only then read the committed offset: it is the only truth, all else is a cache of it. So is what a
   stage remembers, which is read anew. Seek, resume.
2. deliver: records from the poll loop; up to `in_flight` of them are worked on at once, outside any transaction.
3. process: take the results that are finished, in the order of the input; publish them and the next offset in one
   transaction; only then tell the observer.
4. Any doubt: discard the producer, wait, open again. An error of the worker's own ends the process: nothing of the
   record is published, and whoever takes the partition over begins with it.

Before each side effect the actor asks whether it still owns the partition: cancelling a task is not enough, as a
cancellation can be swallowed inside the client library.
"""

import asyncio
import itertools
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from schemas.record import Outgoing, Record
from workers.errors import BrokerError
from workers.pipeline import Stage
from workers.settings import Settings
from workers.stream.bus import Observer
from workers.stream.clients import Clients
from workers.stream.once import Once
from workers.stream.recollection import recollect
from workers.stream.step import Result, process, report
from workers.stream.writer import TransactionalWriter, WriterLost

log = logging.getLogger(__name__)

FAILURES_ALLOWED = 8
GOOD_RUN_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
IDLE_S = 1.0
_epochs = itertools.count(1)


class NotOwner(Exception):
    """The partition belongs to somebody else by now."""


class WorkerFailed(Exception):
    """The stage's own error, in `__cause__`: a bug, or an engine that is gone. The process must end."""


class PartitionActor:
    """Works on one partition until it is told that it is not the owner any more, or fails for good."""

    def __init__(
        self,
        settings: Settings,
        clients: Clients,
        stage: Stage,
        partition: TopicPartition,
        consumer: Any,
        observer: Observer,
        is_owner: Callable[["PartitionActor"], bool],
    ) -> None:
        self.partition = partition
        self.epoch = 0  # changes whenever the position is set anew; 0: not ready
        self.next_offset = 0  # of the first record that was not delivered yet
        self._settings, self._clients, self._stage = settings, clients, stage
        self._consumer, self._observer = consumer, observer
        self._is_owner = is_owner
        self._writer: TransactionalWriter | None = None
        self._once = Once(None)
        self._waiting: deque[Record] = deque()
        self._working: deque[asyncio.Task[Result]] = deque()
        self._delivered = asyncio.Event()
        self._committed_offset = 0
        self._paused = False

    async def run(self) -> None:
        """Open and process, again after every doubt. Raises WorkerFailed, or BrokerError after many doubts in a row."""
        failures = 0
        while True:
            began = time.monotonic()
            try:
                await self._open()
                await self._process()
            except (IllegalStateError, NotOwner):  # aiokafka's word for a partition that is no longer assigned
                return
            except (WriterLost, BrokerError) as error:
                failures = 1 if time.monotonic() - began > GOOD_RUN_S else failures + 1
                log.warning("%s: opening again after %r", self.partition, error)
                self._observer.producer_reopened(self._stage.spec.name)
                if failures >= FAILURES_ALLOWED:
                    raise BrokerError(f"{self.partition}: {failures} failures in a row, the last: {error}") from error
            finally:
                await self._close()
            await asyncio.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**failures) * random.uniform(0.5, 1.0))  # noqa: S311  # jitter

    def deliver(self, records: Sequence[Record]) -> None:
        """Records from the poll loop, in order; those delivered before are ignored."""
        fresh = [record for record in records if record.offset >= self.next_offset]
        if fresh:
            self.next_offset = fresh[-1].offset + 1
            self._waiting.extend(fresh)
            self._start_work()
            self._delivered.set()

    def seek(self) -> None:
        """Fetch from the first record that was not delivered yet."""
        self._consumer.seek(self.partition, self.next_offset)

    @property
    def ready(self) -> bool:
        return self.epoch > 0

    @property
    def in_flight(self) -> int:
        """Records read and not yet committed."""
        return len(self._waiting) + len(self._working)

    async def _open(self) -> None:
        self._check_owner()
        self._consumer.pause(self.partition)
        group, topic = self._stage.spec.group, self.partition.topic
        self._writer = TransactionalWriter(self._clients, f"{group}.{topic}.{self.partition.partition}")
        await self._writer.start()
        offset = await self._read_committed(group, topic)
        self._once = await recollect(self._clients, self._stage.spec, self.partition.partition)
        self._check_owner()
        self.next_offset = self._committed_offset = offset
        self.seek()
        self._consumer.resume(self.partition)
        self._paused = False
        self.epoch = next(_epochs)

    async def _read_committed(self, group: str, topic: str) -> int:
        number = self.partition.partition
        async with self._clients.cluster() as cluster:
            offset = (await cluster.insist(lambda: cluster.committed(group, topic, [number])))[number]
        if offset < 0:
            raise BrokerError(f"group {group} has no offset in {topic} partition {number}: run `tessera topics create`")
        return offset

    async def _process(self) -> None:
        while True:
            if self._working:
                await self._commit(await self._finished())
            elif not await self._more():
                await self._commit_idle()

    async def _more(self) -> bool:
        """Wait for a delivery; False when the partition stays idle."""
        self._delivered.clear()
        try:
            await asyncio.wait_for(self._delivered.wait(), IDLE_S)
        except TimeoutError:
            return False
        return True

    async def _finished(self) -> list[Result]:
        """Results of the input's next records, at least one. Raises WorkerFailed."""
        await asyncio.wait([self._working[0]])
        first = itertools.islice(self._working, self._settings.transaction_auctions)
        done = list(itertools.takewhile(asyncio.Task.done, first))
        good = list(itertools.takewhile(lambda task: task.exception() is None, done))
        if not good:  # whatever the error is, it is not this loop's to repair
            raise WorkerFailed from done[0].exception()
        return [task.result() for task in good]

    async def _commit(self, results: Sequence[Result]) -> None:
        """One transaction: everything the results publish, and the offset behind them."""
        stage, began = self._stage.spec.name, time.monotonic()
        outgoing = (record for result in results for record in result.outgoing)
        try:
            await self._write(outgoing, results[-1].offset + 1)
        except WriterLost:
            self._observer.transaction(stage, "aborted", time.monotonic() - began, len(results))
            raise
        self._observer.transaction(stage, "committed", time.monotonic() - began, len(results))
        for result in results:
            self._working.popleft()
            report(result, stage, self._observer)
        self._check_owner()
        if self._writer is None or self._writer.tainted:
            raise WriterLost("an answer was lost; a late duplicate must meet a newer producer")
        self._start_work()

    async def _write(self, outgoing: Iterable[Outgoing], offset: int) -> None:
        writer = self._writer
        self._check_owner()
        if writer is None:
            raise NotOwner
        await writer.begin()
        await writer.send(outgoing)
        self._check_owner()
        await writer.commit(self.partition, offset, self._stage.spec.group)
        self._committed_offset = offset

    async def _commit_idle(self) -> None:
        """Commit past what holds no record (markers of transactions), so that an idle group's lag becomes 0."""
        try:
            position = await asyncio.wait_for(self._consumer.position(self.partition), IDLE_S)
        except (KafkaError, TimeoutError):
            return  # asked again when the partition is idle for another second
        if position > self._committed_offset and not self.in_flight and position >= self.next_offset:
            self.next_offset = position
            await self._write((), position)

    def _start_work(self) -> None:
        """Begin work on waiting records while there is room; hold the fetcher back when too many wait."""
        while self._waiting and len(self._working) < self._stage.in_flight:
            record = self._waiting.popleft()
            self._working.append(asyncio.create_task(process(self._stage, record, self._observer, self._once)))
        self._hold_back()

    def _hold_back(self) -> None:
        crowded = len(self._waiting) > self._stage.in_flight
        if crowded and not self._paused:
            self._consumer.pause(self.partition)
        elif self._paused and not self._waiting:
            self._consumer.resume(self.partition)
            crowded = False
        else:
            crowded = crowded or self._paused
        self._paused = crowded

    def _check_owner(self) -> None:
        if not self._is_owner(self):
            raise NotOwner

    async def _close(self) -> None:
        """Forget everything in memory; the committed offset says what is done."""
        self.epoch = 0
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        self._working.clear()
        self._waiting.clear()
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.discard()
