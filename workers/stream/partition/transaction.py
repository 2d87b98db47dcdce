"""What the owner of an input partition holds: the transactional producer, and what it has committed with it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain

from aiokafka import TopicPartition

from schemas.record import Outgoing
from workers.errors import BrokerError
from workers.settings import Settings
from workers.stage import Stage
from workers.stream.bus import Observer
from workers.stream.connection.clients import Clients
from workers.stream.deduplication.deduplicator import Once
from workers.stream.deduplication.folder import Stores
from workers.stream.deduplication.recollection import Recollection
from workers.stream.deduplication.window import Window
from workers.stream.offsets import NOTHING_KNOWN, Completion
from workers.stream.partition.crash_count import Attempts, found, found_again
from workers.stream.partition.position import read_position
from workers.stream.partition.position_log import Position, PositionLog
from workers.stream.partition.producer import Oversized, TransactionalWriter, WriterLost

log = logging.getLogger(__name__)


class Tenure:
    """Opened, written through until the first doubt, closed, opened again. `check_owner` raises when it is over.

    `known`: what this process knows to be committed, of every partition that it has owned.
    """

    def __init__(
        self,
        settings: Settings,
        clients: Clients,
        stage: Stage,
        stores: Stores,
        known: dict[TopicPartition, Position],
        partition: TopicPartition,
        check_owner: Callable[[], None],
    ) -> None:
        self.completion = NOTHING_KNOWN  # as committed, for all that is known
        self.attempts = Attempts()
        self.once = Once(None)
        self.is_stale = False  # when it was opened, Kafka's group coordinator knew less than was committed
        self._clients, self._stage, self._partition = clients, stage, partition
        self._check_owner, self._known = check_owner, known
        self._stores, self._note_name = stores, f"{stage.spec.group}.{partition.topic}-{partition.partition}"
        self._log = PositionLog(stage.spec.positions, partition)
        self._memory = Recollection(clients, stage.spec, partition.partition, stores, Window.of(settings))
        self._writer: TransactionalWriter | None = None
        self._singly = False  # each record in a batch of its own

    async def open(self) -> Completion:
        """Fence every earlier owner, and only then read where the partition stands and what the stage remembers.

        What the log or the group's coordinator does not know of that is written at once. StalePosition: Kafka does not
        know what this process has committed there.
        """
        at, group = self._partition, self._stage.spec.group
        await self._log.find(self._clients)
        self._check_owner()
        self._writer = TransactionalWriter(self._clients, f"{group}.{at.topic}.{at.partition}")
        await self._writer.start()
        barrier = partial(self._writer.barrier, at, group, self._log.barrier())
        found = await read_position(self._clients, group, self._log, self._known.get(at), barrier)
        self.once = await self._memory.read()
        self._check_owner()
        self._note(found.position, self._attempts_at(found.position.completion))
        self.is_stale = found.is_stale
        if not found.is_written:
            await self.write((), self.completion, self.attempts)
        return self.completion

    def _note(self, position: Position, attempts: Attempts) -> None:
        """This is committed."""
        self.completion, self.attempts = position.completion, attempts
        self._known[self._partition] = position

    def _attempts_at(self, completion: Completion) -> Attempts:
        if self.completion is NOTHING_KNOWN:
            return found(completion.attempts - self._was_noted(completion), self._stage.in_flight)
        moved = completion.base > self.completion.base
        return found_again(completion.attempts, self.attempts, self._stage.in_flight, moved=moved)

    async def write(self, outgoing: Iterable[Outgoing], completion: Completion, attempts: Attempts) -> None:
        """One transaction: records, where the partition stands with them, and how often it was tried.

        WriterLost; BrokerError: what was settled before cannot be brought to the disk.
        """
        await self._memory.save(self.once)
        writer = self._sound_writer()
        await writer.begin()
        committed = Completion(completion.base, completion.done, attempts.number)
        position = replace(self._known[self._partition], completion=committed)
        await self._send(writer, chain(outgoing, self._log.records(position)))
        self._check_owner()
        await writer.commit(self._partition, committed.base, committed.metadata(), self._stage.spec.group)
        self._note(position, attempts)

    async def disclaim(self) -> None:
        """Take back the attempt; what is committed may be more than this process knows of.

        Where Kafka cannot be told, the disk is, for whoever is next on this machine: `_was_noted`.
        """
        try:
            completion = await self.open()
            if self.attempts.begun:
                await self.write((), completion, self.attempts.release())
        except (WriterLost, BrokerError):
            if self.attempts.begun:
                self._stores.leave(self._note_name, _attempt(self.completion))
        finally:
            await self.close()

    def _was_noted(self, completion: Completion) -> bool:
        """Whether the newest attempt was one whose process has left a note: it ended in order, and died of nothing.

        A note counts once: the next process may die, and its attempt may have the same number.
        """
        return completion.attempts > 0 and self._stores.take(self._note_name) == _attempt(completion)

    async def _send(self, writer: TransactionalWriter, outgoing: Iterable[Outgoing]) -> None:
        try:
            await writer.send(outgoing, singly=self._singly)
        except Oversized as error:
            self._singly = not error.numbers  # until it is known whose fault it is: that record is refused from now on
            raise

    def check(self) -> None:
        """WriterLost: an answer was lost. What is committed stands, but a late duplicate must meet a newer producer."""
        self._sound_writer()

    def _sound_writer(self) -> TransactionalWriter:
        self._check_owner()
        if self._writer is None or self._writer.tainted:
            raise WriterLost("an answer was lost")
        return self._writer

    def end(self) -> None:
        """Let go of what outlives doubts: the partition is somebody else's, or nobody's."""
        self._memory.close()

    async def close(self) -> None:
        """Let go of the producer, within seconds."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.discard()


def _attempt(completion: Completion) -> str:
    return f"{completion.base} {completion.attempts}"


@contextlib.contextmanager
def measured(observer: Observer, stage: str, auctions: int) -> Iterator[None]:
    """Tell the observer how a transaction over so many auctions ended."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        yield
    except WriterLost:
        observer.transaction(stage, "aborted", clock() - began, auctions)
        raise
    if auctions:
        observer.transaction(stage, "committed", clock() - began, auctions)
