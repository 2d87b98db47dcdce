"""The transactions of one input partition: its producer, and what must be read before and written with them."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from aiokafka import TopicPartition

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
from workers.stream.partition.position import read_position
from workers.stream.partition.position_log import Position, PositionLog
from workers.stream.partition.producer import Oversized, TransactionalWriter, WriterLost
from workers.stream.partition.state import Commit, PartitionState
from workers.stream.processing import Result


class NotOwner(Exception):
    """The partition belongs to somebody else by now."""


class Transactions:
    """Opened, written through until the first doubt, closed, opened again; `state` is told what is committed.

    `check_owner` raises NotOwner.

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
        state: PartitionState,
        check_owner: Callable[[], None],
    ) -> None:
        self.once = Once(None)
        self._clients, self._stage, self._partition, self._state = clients, stage, partition, state
        self._check_owner, self._known = check_owner, known
        self._stores, self._note_name = stores, f"{stage.spec.group}.{partition.topic}-{partition.partition}"
        self._log = PositionLog(stage.spec.positions, partition)
        self._memory = Recollection(clients, stage.spec, partition.partition, stores, Window.of(settings))
        self._writer: TransactionalWriter | None = None
        self._unanswered: Commit | None = None  # its answer was lost, as far as is known
        self._unanswered_at = -1  # where its position lies in the log
        self._confirmed: Sequence[Result] = ()

    async def open(self) -> bool:
        """Fence every earlier owner, and only then read where the partition stands and what the stage remembers.

        What the log or the group's coordinator does not know of that is written at once. Whether the coordinator knew
        less than was committed. StalePosition: Kafka does not know what this process has committed there.
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
        self._known[at], completion = found.position, found.position.completion
        self._confirm()
        is_first = self._state.committed is NOTHING_KNOWN
        self._state.opened(completion, is_excused=is_first and self._takes_note(completion))
        if not found.is_written:
            await self.write(Commit(completion, self._state.attempts))
        return found.is_stale

    async def write(self, commit: Commit) -> None:
        """One transaction: what is published, and where the partition stands then.

        WriterLost; BrokerError: what was settled before cannot be brought to the disk.
        """
        await self._memory.save(self.once)
        writer, completion = self._sound_writer(), commit.completion
        await writer.begin()
        position = replace(self._known[self._partition], completion=completion)
        try:
            outgoing = chain(commit.outgoing, self._log.records(position))
            await writer.send(outgoing, singly=self._state.sends_singly)
        except Oversized as error:
            self._state.too_large(commit, error.numbers)
            raise
        self._check_owner()
        self._unanswered, self._unanswered_at = commit, writer.last_offset
        await writer.commit(self._partition, completion.base, completion.metadata(), self._stage.spec.group)
        self._known[self._partition], self._unanswered = position, None
        self._state.acknowledged(commit)

    def _confirm(self) -> None:
        """The log says how a commit ended whose answer was lost, by the very record that was written with it.

        What is finished does not: somebody else may have finished the same, and told of it. Where somebody has written
        a later position nobody tells of this one.
        """
        unanswered, self._unanswered = self._unanswered, None
        if unanswered is not None and self._log.exists and self._log.read_offset == self._unanswered_at:
            self._confirmed = (*self._confirmed, *unanswered.results)

    def take_confirmed(self) -> Sequence[Result]:
        """Results that turned out to be committed when the partition was opened again; each is given once."""
        confirmed, self._confirmed = self._confirmed, ()
        return confirmed

    async def disclaim(self) -> Sequence[Result]:
        """Take back the attempt; what is committed may be more than this process knows of: those results.

        Where Kafka cannot be told, the disk is, for whoever is next on this machine: `_takes_note`.
        """
        state = self._state
        try:
            await self.open()
            if state.attempts.begun:
                await self.write(Commit(state.committed, state.attempts.release()))
        except (WriterLost, BrokerError):
            if state.attempts.begun:
                self._stores.leave(self._note_name, _attempt(state.committed))
        finally:
            await self.close()
        return self.take_confirmed()

    def _takes_note(self, completion: Completion) -> bool:
        """Whether the newest attempt was one whose process has left a note: it ended in order, and died of nothing.

        A note counts once: the next process may die, and its attempt may have the same number.
        """
        return completion.attempts > 0 and self._stores.take(self._note_name) == _attempt(completion)

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
