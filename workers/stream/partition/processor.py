"""The actor of one input partition: it owns the partition's transactional id, its position and its work in flight.

1. open: pause the partition, start a producer with the partition's id (this fences every earlier owner and settles its
   transaction), and only then read the committed offset, the only truth, and what the stage remembers. Seek, resume.
2. begin: say in Kafka that work begins, if nobody has (crash_count.py); then work on up to `in_flight` records
   at once, outside any transaction.
3. commit: take results that are finished; publish them, the offset of the first unfinished record and what is finished
   beyond it in one transaction; only then tell the observer.
4. Any doubt: discard the producer, wait, open again; out-of-order work goes on meanwhile. An error of the worker's own
   ends the process: nothing of the record is published, and a successor begins with it.
5. leave, when told: commit what is finished, take back the attempt, and be gone.

Before each side effect the actor asks whether it still owns the partition: aiokafka may swallow a cancellation.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from schemas.record import Record
from workers.errors import BrokerError, NotRetriable, StalePosition
from workers.settings import Settings
from workers.stage import Stage
from workers.stream.bus import Observer
from workers.stream.partition.backoff import FAILURES_ALLOWED, Doubts
from workers.stream.partition.crash_count import Attempts, refuse_crashed
from workers.stream.partition.fetcher import Fetching
from workers.stream.partition.in_flight import Backlog
from workers.stream.partition.oversized import OversizedRecords, refuse_oversized
from workers.stream.partition.producer import WriterLost
from workers.stream.partition.quarantine import Solo
from workers.stream.partition.transaction import Tenure, measured
from workers.stream.processing import Result, process, report

log = logging.getLogger(__name__)

IDLE_S = 1.0
_epochs = itertools.count(1)


class NotOwner(Exception):
    """The partition belongs to somebody else by now."""


class PartitionActor:
    """Works on one partition until it is told to leave, is not the owner any more, or fails for good."""

    def __init__(
        self,
        settings: Settings,
        tenure: Callable[[TopicPartition, Callable[[], None]], Tenure],
        stage: Stage,
        partition: TopicPartition,
        consumer: Any,
        observer: Observer,
        is_owner: Callable[["PartitionActor"], bool],
        solo: Solo,
    ) -> None:
        self.partition = partition
        self.epoch = 0  # changes whenever the position is set anew; 0: not ready
        self.backlog = Backlog(self._start, room=stage.in_flight, in_order=stage.spec.in_order)
        self._most_results = settings.transaction_auctions
        self.fetching = Fetching(consumer, partition)
        self._stage, self._observer, self._is_owner, self._solo = stage, observer, is_owner, solo
        self._tenure = tenure(partition, self._check_owner)
        self._doubts, self._oversized = Doubts(), OversizedRecords()
        self._told_to_leave = asyncio.Event()

    async def run(self) -> None:
        """Open and process, again after every doubt. Raises WorkerFailed, or BrokerError after many doubts in a row."""
        self._solo.join(self.backlog)
        try:
            while (doubt := await self._live()) is not None and not self._told_to_leave.is_set():
                self._doubts.add(is_first=self._oversized.learnt())
                await self._wait(doubt)
                self._doubts.go_on()
            if doubt is not None:
                await self._disclaim()
        except NotRetriable:
            await self._disclaim()
            raise
        except (IllegalStateError, NotOwner):  # aiokafka's word for a partition that is no longer assigned
            return
        finally:
            try:
                await self.backlog.abandon()
            finally:
                self._solo.leave(self.backlog)
                self._tenure.end()

    async def _live(self) -> Exception | None:
        """Work until told to leave, or until a doubt, which is returned."""
        try:
            await self._open()
            await self._process()
        except NotRetriable:
            raise
        except (WriterLost, BrokerError) as doubt:
            return doubt
        finally:
            await self._close()
        return None

    async def _wait(self, doubt: Exception) -> None:
        """Pause before the next attempt, or give up with BrokerError."""
        count = self._doubts.failures
        log.warning("%s: failure %d of %d: %r: opening again", self.partition, count, FAILURES_ALLOWED, doubt)
        self._observer.producer_reopened(self._stage.spec.name)
        if isinstance(doubt, StalePosition):
            self._observer.stale_position(self._stage.spec.name)
        if self._doubts.are_too_many:
            await self._disclaim()
            raise BrokerError(f"{self.partition}: {count} failures in a row, the last: {doubt}") from doubt
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._told_to_leave.wait(), self._doubts.pause_s())

    async def _disclaim(self) -> None:
        """End what is in work, and take back its attempt if Kafka can be told: our own end is no record's fault."""
        await self.backlog.abandon()
        await self._tenure.disclaim()

    def deliver(self, records: Sequence[Record]) -> None:
        """Records from the poll loop, in order; those delivered before are ignored."""
        self.backlog.deliver(records)
        if self._tenure.attempts.begun and not self._tenure.attempts.alone and not self._solo.closed_to(self.backlog):
            self.backlog.begin()
        self._hold_back()

    def seek(self) -> None:
        """Fetch from the first record that was not delivered yet."""
        self.fetching.seek(self.backlog.next_offset)

    def leave(self) -> None:
        """Commit what is finished, begin nothing more, and end."""
        self._told_to_leave.set()
        self.backlog.wake()

    @property
    def ready(self) -> bool:
        return self.epoch > 0

    async def _open(self) -> None:
        self._check_owner()
        self.fetching.pause()
        self.backlog.open_at(await self._tenure.open())
        if self._tenure.is_stale:
            self._observer.stale_position(self._stage.spec.name)
        self.fetching.resume_at(self.backlog.next_offset)
        self.epoch = next(_epochs)

    async def _process(self) -> None:
        while not self._told_to_leave.is_set():
            self._tenure.check()
            await self._begin()
            if results := self.backlog.finished(self._most_results):
                await self._publish(results, self._attempts_after(results))
            elif not await self.backlog.woken(IDLE_S):
                await self._commit_idle()
        await self._release(self.backlog.finished(self._most_results))

    async def _begin(self) -> None:
        """Begin work on what waits, after Kafka knows of it."""
        attempts = self._tenure.attempts
        if not attempts.alone:
            self._solo.give(self.backlog)
        if not self.backlog.waiting or (attempts.alone and self.backlog.working):
            return
        if attempts.hopeless:
            self.backlog.begin(1, self._refuse)
            return
        if self._solo.closed_to(self.backlog) or (attempts.alone and not self._solo.take(self.backlog)):
            return
        if not attempts.begun:
            await self._tenure.write((), self._tenure.completion, attempts.begin())
            if self._solo.closed_to(self.backlog):
                return  # by now
        self.backlog.begin(1 if attempts.alone else None)
        self._hold_back()

    def _start(self, record: Record) -> "asyncio.Task[Result]":
        if record.offset in self._oversized:
            return asyncio.create_task(refuse_oversized(self._stage, record))
        return asyncio.create_task(process(self._stage, record, self._observer, self._tenure.once))

    def _refuse(self, record: Record) -> "asyncio.Task[Result]":
        return asyncio.create_task(refuse_crashed(self._stage, record))

    async def _release(self, results: Sequence[Result]) -> None:
        """The last commit of this tenure: it takes the attempt back."""
        attempts = self._attempts_after(results).release()
        if results or attempts.number != self._tenure.attempts.number:
            await self._publish(results, attempts)

    def _attempts_after(self, results: Sequence[Result]) -> Attempts:
        attempts = self._tenure.attempts
        only = results and (attempts.alone or attempts.hopeless)  # then nothing but the first unfinished is in work
        moved = only or self.backlog.after(results).base > self.backlog.base()
        return attempts.passed(len(results)) if moved else attempts

    async def _publish(self, results: Sequence[Result], attempts: Attempts) -> None:
        """One transaction: everything the results publish, and where the partition stands then."""
        completion = self.backlog.after(results)
        with measured(self._observer, self._stage.spec.name, len(results)):
            outgoing = (record for result in results for record in result.outgoing)
            with self._oversized.blaming(results, self.backlog):
                await self._tenure.write(outgoing, completion, attempts)
        self.backlog.commit(results, completion)
        self._hold_back()
        self._solo.give(self.backlog)
        self._solo.ease()
        for result in results:
            report(result, self._stage.spec.name, self._observer)

    async def _commit_idle(self) -> None:
        """Commit past what holds no record (markers of transactions), so that an idle group's lag becomes 0.

        Deaths are forgotten with it: what others died of is finished, or it would be here.
        """
        position = await self.fetching.position(IDLE_S)
        if len(self.backlog) or position < self.backlog.next_offset:
            return  # asked again when the partition is idle for another second
        is_blamed = self._tenure.attempts.deaths > 0 and position == self.fetching.stable_end()
        if position > self._tenure.completion.base or is_blamed:
            attempts = Attempts(begun=self._tenure.attempts.begun)
            await self._tenure.write((), self.backlog.skip_to(position), attempts)

    def _hold_back(self) -> None:
        """Let the fetcher rest while more records wait than are worked on at once."""
        self.fetching.hold_back(self.backlog.waiting, self._stage.in_flight, self.backlog.large_bytes)

    def _check_owner(self) -> None:
        if not self._is_owner(self):
            raise NotOwner

    async def _close(self) -> None:
        """Let go of the producer; what is in work goes on where nothing that it knows can be wrong by now."""
        self.epoch = 0
        if self._stage.spec.in_order:
            await self.backlog.abandon()
            self._solo.ease()
        await self._tenure.close()
