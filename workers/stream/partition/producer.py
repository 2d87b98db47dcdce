"""The transactional producer of one input partition: what a stage publishes and the offset it has read, or neither."""

import asyncio
import random
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import IllegalOperation, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.producer import sender
from aiokafka.structs import OffsetAndMetadata

from schemas.record import Outgoing, Placed
from schemas.topics import DEAD_LETTER_MAX_BYTES
from workers.stream.connection.access_errors import WRITE, denied
from workers.stream.connection.clients import Clients
from workers.stream.connection.clocks import compare
from workers.stream.connection.unsuitable_settings import unsuitable
from workers.stream.partition.unawaited import DOUBTS, failure, retrieve
from workers.stream.wire.partitioner import partition_of
from workers.stream.wire.raw_names import RawNamesBatch, has_raw_names

T = TypeVar("T")

#: Kafka's answers to a batch that is larger than its topic, or a segment of it, takes.
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

STEP_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 2.0
CLOSE_TIMEOUT_S = 1.0
TRANSACTION_TIMEOUT_MS = 20_000
BATCH_BYTES = 256 * 1024
BARRIER = "a write barrier, to be aborted: no position"

# After a commit the broker still writes its markers, so the next transaction's first request is told to come back.
# aiokafka then sleeps this constant, 20 ms, whatever the settings; 2 ms makes small transactions three times faster.
PAUSE_BETWEEN_TRANSACTIONS_S = 0.002
sender.BACKOFF_OVERRIDE = PAUSE_BETWEEN_TRANSACTIONS_S


class WriterLost(Exception):
    """A step failed or an answer was lost: what the broker did is settled only by a new producer."""


class Oversized(WriterLost):
    """A topic does not take records for their size. `numbers`: which of those sent, counted from 0.

    Empty: it did not take a batch of several; sent one by one, they show whose fault it is.
    """

    def __init__(self, error: BaseException, numbers: Sequence[int]) -> None:
        super().__init__(repr(error))
        self.numbers = frozenset(numbers)


@dataclass
class _Sent:
    """A batch on its way: which records are in it, and Kafka's answer."""

    numbers: list[int]
    answer: "asyncio.Future[Any]"


class TransactionalWriter:
    """A producer with the partition's own transactional id. Every step may raise WriterLost: then discard it.

    AccessDenied: a right of this user's is missing; Unsuitable: the brokers allow no such transaction. A new producer
    would meet the same.
    """

    def __init__(self, clients: Clients, transactional_id: str) -> None:
        #: An answer was lost: what is committed stands, but the next transaction needs a new producer.
        self.tainted = False
        self.last_offset = -1  # of the last batch's first record, of the last `send`
        self._user = clients.user
        self._partition_counts: dict[str, int] = {}  # of this producer's life; they never change once data is there
        self._producer = clients.producer(
            client_id=transactional_id,
            transactional_id=transactional_id,
            acks="all",
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            max_request_size=DEAD_LETTER_MAX_BYTES,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            value_serializer=_unwrapped,
        )

    async def start(self) -> None:
        """Fence every earlier owner of the id and settle the transaction it left open."""
        await self._limited(self._producer.start())
        self._watch()

    async def begin(self) -> None:
        """Begin a transaction; nothing is sent to Kafka yet."""
        await self._limited(self._producer.begin_transaction())

    async def send(self, records: Iterable[Outgoing], *, singly: bool = False) -> None:
        """Publish inside the transaction; each record's own answer is awaited, a commit does not tell of a lost one.

        `singly`: each in a batch of its own. Oversized: a topic does not take some of them.
        """
        await self._limited(self._send(records, singly))

    async def _send(self, records: Iterable[Outgoing], singly: bool) -> None:
        failure = await self._failure(records, singly)
        try:
            if failure is not None:
                raise failure
        finally:
            del failure  # or it and this frame keep each other, and the records, until the collector comes

    async def _failure(self, records: Iterable[Outgoing], singly: bool) -> BaseException | None:
        """Every answer is waited for, also behind a failure: the first to fail need not be the one that says why."""
        sent: list[_Sent] = []
        refused: BaseException | None = None
        asked_s = time.time()
        try:
            await self._submit_all(records, sent, singly)
        except (KafkaError, IllegalOperation) as error:
            refused = error
        answers = await asyncio.gather(*(one.answer for one in sent), return_exceptions=True)
        compare(asked_s, answers)
        self.last_offset = getattr(answers[-1], "offset", -1) if answers else -1
        failures = [answer for answer in (refused, *answers) if isinstance(answer, BaseException)]
        if oversized := _oversized(sent, answers):
            return oversized
        return next((failure for failure in failures if denied(failure, self._user)), next(iter(failures), None))

    async def _submit_all(self, records: Iterable[Outgoing], sent: list[_Sent], singly: bool) -> None:
        """One answer for each batch: half the work of aiokafka's `send`, which keeps one for each record."""
        open_batches: dict[tuple[str, int], tuple[Any, list[int]]] = {}
        for number, record in enumerate(records):
            target = record.topic, await self._partition(record)
            batch, numbers = open_batches.get(target, (None, []))
            if batch is None or singly or has_raw_names(record) or not _append(batch, record):
                if batch is not None:
                    sent.append(_Sent(numbers, await self._submit(batch, target)))
                batch, numbers = open_batches[target] = self._new_batch(record), []
            numbers.append(number)
        for target, (batch, numbers) in open_batches.items():
            sent.append(_Sent(numbers, await self._submit(batch, target)))

    def _new_batch(self, record: Outgoing) -> Any:
        """A batch with the record in it: an empty one takes a record of any size."""
        if has_raw_names(record):
            return RawNamesBatch(record, is_transactional=True)
        batch = self._producer.create_batch()
        _append(batch, record)
        return batch

    async def _partition(self, record: Outgoing) -> int:
        """The number of the partition the record belongs to."""
        if isinstance(record, Placed):
            return record.to_partition
        count = self._partition_counts.get(record.topic)
        if count is None:
            count = self._partition_counts[record.topic] = len(await self._producer.partitions_for(record.topic))
        return place(record.key, count)

    async def _submit(self, batch: Any, target: tuple[str, int]) -> "asyncio.Future[Any]":
        batch.close()
        answer: asyncio.Future[Any] = await self._producer.send_batch(batch, target[0], partition=target[1])
        answer.add_done_callback(retrieve)  # nobody awaits it when the limit of the step comes before
        return answer

    async def commit(self, partition: TopicPartition, offset: int, metadata: str, group: str) -> None:
        """Commit records and offset together."""
        offsets = {partition: OffsetAndMetadata(offset, metadata)}
        await self._limited(self._producer.send_offsets_to_transaction(offsets, group))
        await self._limited(self._producer.commit_transaction())

    async def barrier(self, partition: TopicPartition, group: str, record: Placed | None) -> int:
        """Two writes that change nothing, as their transaction is aborted: `record`, whose offset is returned, and an
        offset of the group. Without a record, 0 is returned.

        What they hold cannot be read as a position: nobody would go on from it if a broker took it for committed.
        """
        await self.begin()
        offset = 0 if record is None else await self._limited(self._offset_of(record))
        offsets = {partition: OffsetAndMetadata(0, BARRIER)}
        await self._limited(self._producer.send_offsets_to_transaction(offsets, group))
        await self._limited(self._producer.abort_transaction())
        return offset

    async def _offset_of(self, record: Placed) -> int:
        answer = await self._submit(self._new_batch(record), (record.topic, record.to_partition))
        return int((await answer).offset)

    async def discard(self) -> None:
        """Let go of it within a few seconds, whatever state it is in."""
        if not await _ended(self._producer.stop(), STOP_TIMEOUT_S):
            await _ended(self._producer.client.close(), CLOSE_TIMEOUT_S)

    def _watch(self) -> None:
        """Note every request that was answered by an exception; aiokafka retries some of them in silence."""
        send = self._producer.client.send

        async def watched(node: Any, request: Any, **options: Any) -> Any:
            try:
                return await send(node, request, **options)
            except KafkaError:
                self.tainted = True
                raise

        self._producer.client.send = watched

    async def _limited(self, step: Awaitable[T]) -> T:
        try:
            return await asyncio.wait_for(step, STEP_TIMEOUT_S)
        except DOUBTS as error:
            unfit = denied(error, self._user, WRITE) or unsuitable(error, transaction_ms=TRANSACTION_TIMEOUT_MS)
            raise unfit or WriterLost(repr(error)) from error


async def _ended(step: Awaitable[None], within_s: float) -> bool:
    """Whether it ended well in time. It is not cancelled otherwise: aiokafka hands that on to whoever closes next."""
    task = asyncio.ensure_future(step)
    done, _ = await asyncio.wait({task}, timeout=within_s)
    task.add_done_callback(retrieve)
    return bool(done) and not task.cancelled() and failure(task) is None


def _oversized(sent: Sequence[_Sent], answers: Sequence[object]) -> Oversized | None:
    """What was refused for its size, if anything was."""
    refused = [(one, answer) for one, answer in zip(sent, answers, strict=True) if isinstance(answer, TOO_LARGE)]
    alone = [one.numbers[0] for one, _ in refused if len(one.numbers) == 1]
    return Oversized(refused[0][1], alone) if refused else None


def _append(batch: Any, record: Outgoing) -> bool:
    """Whether the batch had room for the record."""
    appended = batch.append(timestamp=None, key=record.key, value=(record.value,), headers=list(record.headers))
    return appended is not None


def place(key: bytes | None, count: int) -> int:
    """Which of `count` partitions a key belongs to, as Java's clients say; any of them without a key."""
    return random.randrange(count) if key is None else _partition_of(key, count)  # noqa: S311  # no secret


_partition_of = lru_cache(16_384)(partition_of)  # because advertisers come back


def _unwrapped(wrapped: tuple[bytes | None]) -> bytes | None:
    """The value. aiokafka sends no record without key and value; a stranger does, and its dead letter must go out."""
    return wrapped[0]
