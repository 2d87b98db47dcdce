"""Protections of the stream code, each switched off: the simulator must notice."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

from aiokafka import TopicPartition

from schemas.record import Placed
from tests.simulation.groups import Group
from tests.simulation.log import Fate
from tests.simulation.transactions import TransactionCoordinator
from workers.stream.connection.admin_client import LATEST, Cluster
from workers.stream.connection.edges import offset
from workers.stream.deduplication.deduplicator import Once
from workers.stream.deduplication.recollection import Recollection
from workers.stream.deduplication.restore import Restore
from workers.stream.deduplication.store import packed
from workers.stream.offsets import Completion
from workers.stream.partition import position, producer, transaction
from workers.stream.partition.crash_count import Attempts
from workers.stream.partition.fetcher import Fetching
from workers.stream.partition.position import Found
from workers.stream.partition.position_log import PositionLog
from workers.stream.partition.processor import PartitionActor
from workers.stream.partition.producer import TransactionalWriter
from workers.stream.partition.state import PartitionState

Mutant = Callable[[], contextlib.AbstractContextManager[Any]]


def no_ownership_check() -> Any:
    """Who has lost a partition is only cancelled; a cancellation can be swallowed. (`leave` alone protects, too.)"""
    return mock.patch.multiple(PartitionActor, _check_owner=lambda self: None, leave=lambda self: None)


def answers_not_gathered() -> Any:
    """The commit is believed to tell of lost records."""

    async def not_gathered(*futures: Any, return_exceptions: bool) -> list[Any]:
        for future in futures:
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return []

    return mock.patch.object(producer, "asyncio", SimpleNamespace(**{**vars(asyncio), "gather": not_gathered}))


def no_seek_after_a_new_epoch() -> Any:
    """Records of a poll that began before the actor was ready are dropped, and not fetched again."""
    original = Fetching.seek

    def seek(self: Fetching) -> None:
        if self._state.is_paused:  # the actor's own, while it opens
            original(self)

    return mock.patch.object(Fetching, "seek", seek)


def offsets_before_records() -> Any:
    """The offset is committed in a transaction of its own, before what it stands for."""
    begin, send, commit = TransactionalWriter.begin, TransactionalWriter.send, TransactionalWriter.commit

    async def later_send(self: Any, records: Any, **_: Any) -> None:
        self.kept = list(records)

    async def early_commit(self: Any, *arguments: Any) -> None:
        await commit(self, *arguments)
        await begin(self)
        await send(self, self.kept)
        await asyncio.wait_for(self._producer.commit_transaction(), 15)

    return mock.patch.multiple(TransactionalWriter, send=later_send, commit=early_commit)


def producer_kept_after_a_lost_answer() -> Any:
    """A late duplicate of a request finds the same producer epoch."""
    return mock.patch.object(TransactionalWriter, "_watch", lambda self: None)


def offset_read_before_fencing() -> Any:
    """The committed offset is read while the predecessor can still commit."""
    start, read, unstarted = TransactionalWriter.start, transaction.read_position, dict[Any, TransactionalWriter]()

    async def not_yet(self: TransactionalWriter) -> None:
        unstarted[asyncio.current_task()] = self

    async def read_then_start(*arguments: Any) -> Any:
        found = await read(*arguments)
        await start(unstarted.pop(asyncio.current_task()))
        return found

    return _both(
        mock.patch.multiple(TransactionalWriter, start=not_yet, barrier=_end_of_the_log),
        mock.patch.object(transaction, "read_position", read_then_start),
    )


def ids_kept_after_an_abort() -> Any:
    """What was remembered in an aborted transaction stays known."""
    read, kept = Recollection.read, dict[Recollection, Once]()

    async def remembered(self: Recollection) -> Once:
        found = await read(self)
        return kept.setdefault(self, found)

    return mock.patch.object(Recollection, "read", remembered)


def ids_stored_before_the_commit() -> Any:
    """What is remembered reaches the disk at once."""
    remember = Once.remember

    def stored(self: Once, used: Any) -> None:
        row = used.query_id.encode(), 0, packed(used.auction_id, used.scored_sha256)
        self._store.put([row], self._store.checkpoint)
        remember(self, used)

    return mock.patch.object(Once, "remember", stored)


def tail_not_read() -> Any:
    """What is found on disk is believed to be all there is."""
    follow = Restore._follow

    async def nothing(self: Restore, changelog: Any, anchor: Any, begin: int, end: int) -> bool:
        return await follow(self, changelog, anchor, begin, anchor.offset + 1)

    return mock.patch.object(Restore, "_follow", nothing)


def foreign_store_trusted() -> Any:
    """A store's last record is not compared with the topic's."""

    async def trusting(self: Restore, changelog: Any, anchor: Any, begin: int, end: int) -> bool:
        async for records in changelog.records(min(anchor.offset + 1, end), end):
            self._take(records)
        return True

    return mock.patch.object(Restore, "_follow", trusting)


def an_id_for_each_producer() -> Any:
    """Transactional ids that nobody else ever has: nobody is fenced."""
    init, numbers = TransactionalWriter.__init__, itertools.count()

    def own_id(self: TransactionalWriter, clients: Any, transactional_id: str) -> None:
        init(self, clients, f"{transactional_id}.{next(numbers)}")

    return mock.patch.object(TransactionalWriter, "__init__", own_id)


def position_read_from_the_coordinator() -> Any:
    """The stage's own log of positions is written, and not read."""
    return mock.patch.object(PositionLog, "read", _nothing)


def position_read_without_a_write() -> Any:
    """What a coordinator that has just come up answers is believed, as there is nothing in the log."""
    return _both(
        position_read_from_the_coordinator(), mock.patch.object(TransactionalWriter, "barrier", _end_of_the_log)
    )


def older_position_believed() -> Any:
    """A process goes on from less than it has committed itself."""
    return mock.patch.object(Completion, "covers", lambda self, earlier: True)


def any_position_believed() -> Any:
    """One answer is enough, whatever was written, asked or committed before."""
    ask, answers = position._ask_behind, dict[Any, Any]()

    async def once(barrier: Any, *arguments: Any) -> Any:
        if barrier not in answers:
            answers[barrier] = await ask(_nothing, *arguments)
        return answers[barrier]

    asked_once = mock.patch.object(position, "_ask_behind", once)
    return _both(_both(asked_once, position_read_from_the_coordinator()), older_position_believed())


async def _nothing(*_: Any) -> None: ...


async def _end_of_the_log(self: TransactionalWriter, at: Any, group: str, record: Placed) -> int:
    """What a barrier would tell, without writing anything."""
    place = TopicPartition(record.topic, record.to_partition)
    return await offset(Cluster(self._producer.client), place, LATEST)


def memory_not_read() -> Any:
    """A new owner begins with an empty memory."""

    async def nothing(self: Recollection) -> Once:
        return Once(self._topic)

    return mock.patch.object(Recollection, "read", nothing)


def bitmap_begins_one_too_late() -> Any:
    """Off by one: of what is finished beyond the committed offset the very next is forgotten."""
    after = PartitionState.after

    def beyond(self: PartitionState, results: Any) -> Completion:
        completion = after(self, results)
        return Completion(
            completion.base, frozenset(offset for offset in completion.done if offset > completion.base + 1)
        )

    return mock.patch.object(PartitionState, "after", beyond)


def bitmap_not_read() -> Any:
    """A new owner believes that nothing beyond the committed offset is finished."""
    read = transaction.read_position

    async def only_the_base(*arguments: Any) -> Found:
        found = await read(*arguments)
        completion = replace(found.position.completion, done=frozenset())
        return replace(found, position=replace(found.position, completion=completion))

    return mock.patch.object(transaction, "read_position", only_the_base)


def deaths_not_counted() -> Any:
    """A record that ends every process that works on it is tried for ever."""
    return mock.patch.object(Attempts, "hopeless", False)


def broker_loses_a_marker() -> Any:
    """Kafka 4.3 and 4.4: a transaction counts as complete though a marker was never written (the offsets' one)."""
    mark, count = Group.mark, itertools.count(1)

    def sometimes(self: Group, pid: int, epoch: int, fate: Fate) -> None:
        if next(count) % 7:
            mark(self, pid, epoch, fate)

    return mock.patch.object(Group, "mark", sometimes)


def broker_does_not_fence() -> Any:
    """A coordinator that takes requests of every epoch."""
    end, add = TransactionCoordinator.end, TransactionCoordinator.add

    def epoch_of(self: TransactionCoordinator, id_: str, epoch: int) -> int:
        return self.by_id[id_].epoch if id_ in self.by_id else epoch

    return mock.patch.multiple(
        TransactionCoordinator,
        end=lambda self, id_, pid, epoch, commit: end(self, id_, pid, epoch_of(self, id_, epoch), commit),
        add=lambda self, id_, pid, epoch, places: add(self, id_, pid, epoch_of(self, id_, epoch), places),
        permits=lambda self, pid, epoch, place: True,
    )


@contextlib.contextmanager
def _both(first: Any, second: Any) -> Iterator[None]:
    with first, second:
        yield


MUTANTS: dict[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        no_ownership_check,
        answers_not_gathered,
        no_seek_after_a_new_epoch,
        offsets_before_records,
        producer_kept_after_a_lost_answer,
        offset_read_before_fencing,
        position_read_without_a_write,
        position_read_from_the_coordinator,
        ids_kept_after_an_abort,
        ids_stored_before_the_commit,
        tail_not_read,
        foreign_store_trusted,
        an_id_for_each_producer,
        memory_not_read,
        bitmap_begins_one_too_late,
        bitmap_not_read,
        deaths_not_counted,
        broker_loses_a_marker,
        broker_does_not_fence,
    )
}
