"""The actor of one input partition. It alone waits, for Kafka and for work: what follows is decided in state.py.

Its five steps are those of `workers/stream/__init__.py`. Before each side effect it asks whether it still owns the
partition: aiokafka may swallow a cancellation.
"""

import asyncio
import contextlib
import itertools
import logging
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from schemas.record import Record
from workers.errors import BrokerError, NotRetriable, StalePosition
from workers.settings import Settings
from workers.stage import Stage
from workers.stream.bus import Observer
from workers.stream.operator_lines import PARTITION_FAILED, PARTITION_OPENED
from workers.stream.partition.fetcher import Fetching
from workers.stream.partition.producer import WriterLost
from workers.stream.partition.quarantine import Quarantine
from workers.stream.partition.state import FAILURES_ALLOWED, Commit, PartitionState
from workers.stream.partition.transaction import NotOwner, Transactions, measured
from workers.stream.processing import Result, process, report

IDLE_S, ABANDON_S = 1.0, 2.0  # an abandoned worker may close what it holds
log = logging.getLogger(__name__)
_epochs = itertools.count(1)


class PartitionActor:
    """Works on one partition until it is told to leave, is not the owner any more, or fails for good."""

    def __init__(
        self,
        settings: Settings,
        transactions: Callable[[TopicPartition, PartitionState, Callable[[], None]], Transactions],
        stage: Stage,
        partition: TopicPartition,
        consumer: Any,
        observer: Observer,
        is_owner: Callable[["PartitionActor"], bool],
        quarantine: Quarantine,
    ) -> None:
        self.partition, self._place = partition, {"stage": stage.spec.name, **partition._asdict()}  # in the log
        self.epoch = 0  # changes whenever the position is set anew; 0: not ready
        self.state = PartitionState(stage.in_flight, in_order=stage.spec.in_order, most=settings.transaction_auctions)
        self.fetching = Fetching(consumer, partition, self.state)
        self._stage, self._observer, self._is_owner, self._quarantine = stage, observer, is_owner, quarantine
        self._transactions = transactions(partition, self.state, self._check_owner)
        self._tasks: dict[int, asyncio.Task[Result]] = {}  # of records in work, by offset
        self._woken, self._told_to_leave = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Open and process, again after every doubt. Raises WorkerFailed, or BrokerError after many doubts in a row."""
        self._quarantine.join(self)
        now = asyncio.get_running_loop().time
        try:
            began = now()
            while (doubt := await self._live()) is not None and not self._told_to_leave.is_set():
                await self._pause(doubt, now() - began)
                began = now()
            if doubt is not None:
                await self._disclaim()
        except NotRetriable:
            with contextlib.suppress(NotOwner):  # the attempt is somebody else's by then, and the failure still ours
                await self._disclaim()
            raise
        except (IllegalStateError, NotOwner):  # aiokafka's word for a partition that is no longer assigned
            return
        finally:
            try:
                await self._abandon()
            finally:
                self._quarantine.leave(self)
                self._transactions.end()

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

    def deliver(self, records: Sequence[Record]) -> None:
        """Records from the poll loop, in order; those delivered before are ignored."""
        if self.state.deliver(records):
            self.wake()
        attempts = self.state.attempts
        if attempts.begun and not attempts.alone and not self._quarantine.closed_to(self):
            self._start()
        self.fetching.apply_backpressure()

    def leave(self) -> None:
        """Commit what is finished, begin nothing more, and end."""
        self._told_to_leave.set()
        self.wake()

    def wake(self) -> None:
        """Something has changed: look again what is to be done."""
        self._woken.set()

    @property
    def ready(self) -> bool:
        """Whether it is open: it knows what is committed, has a producer, and takes records."""
        return self.epoch > 0

    @property
    def working(self) -> int:
        """How many records are being worked on."""
        return self.state.working

    # Step 1: open
    async def _open(self) -> None:
        self._check_owner()
        self.fetching.pause()
        if await self._transactions.open():
            self._observer.stale_position(self._stage.spec.name)
        report(self._transactions.take_confirmed(), self._stage.spec.name, self._observer)
        self._cancel()
        self.fetching.seek()
        self.fetching.resume()
        self.epoch = next(_epochs)
        PARTITION_OPENED.tell(log, **self._place, offset=self.state.next_offset)

    # Step 2: process
    async def _process(self) -> None:
        while not self._told_to_leave.is_set():
            self._transactions.check()
            await self._begin()
            if commit := self.state.next_commit():
                await self._publish(commit)
            elif not await self._is_woken():
                position = await self.fetching.position(IDLE_S)
                if idle := self.state.idle_commit(position, self.fetching.stable_end()):
                    await self._transactions.write(idle)
        if last := self.state.last_commit():  # step 5
            await self._publish(last)

    async def _begin(self) -> None:
        """Begin work on what waits, after Kafka knows of it."""
        attempts = self.state.attempts
        if not attempts.alone:
            self._quarantine.give(self)
        if not self.state.may_begin:  # nothing waits, or it waits for another record's end
            return
        if attempts.hopeless:
            self._start()
            return
        if self._quarantine.closed_to(self) or (attempts.alone and not self._quarantine.take(self)):
            return
        if not attempts.begun:
            await self._transactions.write(Commit(self.state.committed, attempts.begin()))
            if self._quarantine.closed_to(self):
                return  # by now
        self._start()
        self.fetching.apply_backpressure()

    def _start(self) -> None:
        for record, refusal in self.state.begin():
            work = process(self._stage, record, self._observer, self._transactions.once, refusal)
            task = self._tasks[record.offset] = asyncio.create_task(work)
            task.add_done_callback(partial(self._ended, record.offset))

    def _ended(self, offset: int, task: "asyncio.Task[Result]") -> None:
        why = asyncio.CancelledError("the worker was cancelled from within") if task.cancelled() else task.exception()
        if self._tasks.get(offset) is task:  # it was not cancelled
            del self._tasks[offset]
            self.state.ended(offset, why or task.result())
        self.wake()

    async def _is_woken(self) -> bool:
        """Wait for a delivery or a finished record; False when nothing comes."""
        try:
            async with asyncio.timeout(IDLE_S):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    # Step 3: commit
    async def _publish(self, commit: Commit) -> None:
        """One transaction; what it has led to is told only then."""
        with measured(self._observer, self._stage.spec.name, len(commit.results)):
            await self._transactions.write(commit)
        self.fetching.apply_backpressure()
        self._quarantine.give(self)
        self._quarantine.ease()
        report(commit.results, self._stage.spec.name, self._observer)

    def _check_owner(self) -> None:
        if not self._is_owner(self):
            raise NotOwner

    # Step 4: doubt
    async def _close(self) -> None:
        """Let go of the producer; what is in work goes on where nothing that it knows can be wrong by now."""
        self.epoch = 0
        if self._stage.spec.in_order:
            await self._abandon()
            self._quarantine.ease()
        await self._transactions.close()

    async def _pause(self, doubt: Exception, ran_s: float) -> None:
        """Before the next run, or give up with BrokerError."""
        pause_s, count = self.state.doubted(ran_s), self.state.failures
        PARTITION_FAILED.tell(log, **self._place, count=count, most=FAILURES_ALLOWED, error=repr(doubt))
        self._observer.producer_reopened(self._stage.spec.name)
        if isinstance(doubt, StalePosition):
            self._observer.stale_position(self._stage.spec.name)
        if count >= FAILURES_ALLOWED:
            await self._disclaim()
            topic, number = self.partition
            raise BrokerError(f"{topic} partition {number}: {count} failures in a row, the last: {doubt}") from doubt
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._told_to_leave.wait(), pause_s * random.uniform(0.5, 1.0))  # noqa: S311

    # Step 5: leave
    async def _disclaim(self) -> None:
        """End what is in work, and take back its attempt if Kafka can be told: our own end is no record's fault."""
        await self._abandon()
        report(await self._transactions.disclaim(), self._stage.spec.name, self._observer)

    async def _abandon(self) -> None:
        """End what is in work, and forget everything; what does not end at once is nobody's any more."""
        self.state.abandon()
        if tasks := self._cancel():
            await asyncio.wait(tasks, timeout=ABANDON_S)

    def _cancel(self) -> list["asyncio.Task[Result]"]:
        """Cancel the work that the state does not know any more."""
        tasks = [self._tasks.pop(offset) for offset in [*self._tasks] if offset not in self.state]
        for task in tasks:
            task.cancel()
        return tasks
