"""The transactional producer of one input partition: what a stage publishes and the offset it has read, or neither."""

import asyncio
import random
from collections.abc import Awaitable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import IllegalOperation, KafkaError
from aiokafka.producer import sender
from aiokafka.structs import OffsetAndMetadata

from schemas.record import Outgoing
from schemas.topics import DEAD_LETTER_MAX_BYTES
from workers.stream.clients import Clients
from workers.stream.placement import partition_of
from workers.stream.refusals import WRITE, denied
from workers.stream.unsuitable import unsuitable

T = TypeVar("T")

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


#: What a step may raise; aiokafka asserts states that brokers cause, and its IllegalOperation is no KafkaError.
DOUBTS = (KafkaError, IllegalOperation, TimeoutError, OSError, AssertionError)


class WriterLost(Exception):
    """A step failed or an answer was lost: what the broker did is settled only by a new producer."""


class TransactionalWriter:
    """A producer with the partition's own transactional id. Every step may raise WriterLost: then discard it.

    AccessDenied: a right of this user's is missing; Unsuitable: the brokers allow no such transaction. A new producer
    would meet the same.
    """

    def __init__(self, clients: Clients, transactional_id: str) -> None:
        #: An answer was lost: what is committed stands, but the next transaction needs a new producer.
        self.tainted = False
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
        await self._limited(self._producer.begin_transaction())

    async def send(self, records: Iterable[Outgoing]) -> None:
        """Publish inside the transaction; each record's own answer is awaited, a commit does not tell of a lost one."""
        await self._limited(self._send(records))

    async def _send(self, records: Iterable[Outgoing]) -> None:
        failure = await self._failure(records)
        try:
            if failure is not None:
                raise failure
        finally:
            del failure  # or it and this frame keep each other, and the records, until the collector comes

    async def _failure(self, records: Iterable[Outgoing]) -> BaseException | None:
        """Every answer is waited for, also behind a failure: the first to fail need not be the one that says why."""
        sent: list[Awaitable[Any]] = []
        refused: BaseException | None = None
        try:
            await self._submit_all(records, sent)
        except (KafkaError, IllegalOperation) as error:
            refused = error
        answers = await asyncio.gather(*sent, return_exceptions=True)
        failures = [answer for answer in (refused, *answers) if isinstance(answer, BaseException)]
        return next((failure for failure in failures if denied(failure, self._user)), next(iter(failures), None))

    async def _submit_all(self, records: Iterable[Outgoing], sent: list[Awaitable[Any]]) -> None:
        """One answer for each batch: half the work of aiokafka's `send`, which keeps one for each record."""
        open_batches: dict[tuple[str, int], Any] = {}
        for record in records:
            target = record.topic, await self._partition(record)
            batch = open_batches.get(target)
            if batch is None or not _append(batch, record):
                if batch is not None:
                    sent.append(await self._submit(batch, target))
                batch = open_batches[target] = self._producer.create_batch()
                _append(batch, record)  # an empty batch takes a record of any size
        for target, batch in open_batches.items():
            sent.append(await self._submit(batch, target))

    async def _partition(self, record: Outgoing) -> int:
        """The number of the partition the record belongs to."""
        count = self._partition_counts.get(record.topic)
        if count is None:
            count = self._partition_counts[record.topic] = len(await self._producer.partitions_for(record.topic))
        return place(record.key, count)

    async def _submit(self, batch: Any, target: tuple[str, int]) -> Awaitable[Any]:
        batch.close()
        answer: Awaitable[Any] = await self._producer.send_batch(batch, target[0], partition=target[1])
        return answer

    async def commit(self, partition: TopicPartition, offset: int, metadata: str, group: str) -> None:
        """Commit records and offset together."""
        offsets = {partition: OffsetAndMetadata(offset, metadata)}
        await self._limited(self._producer.send_offsets_to_transaction(offsets, group))
        await self._limited(self._producer.commit_transaction())

    async def barrier(self, partition: TopicPartition, group: str) -> None:
        """A write into the group's offsets that changes nothing: its transaction is aborted.

        Once it is acknowledged, the group's coordinator knows everything that was committed before. What it holds
        cannot be read as a position, so that nobody would go on from it if a broker took it for committed.
        """
        await self.begin()
        offsets = {partition: OffsetAndMetadata(0, BARRIER)}
        await self._limited(self._producer.send_offsets_to_transaction(offsets, group))
        await self._limited(self._producer.abort_transaction())

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
    task.add_done_callback(_look_at)
    return bool(done) and not task.cancelled() and task.exception() is None


def _look_at(task: "asyncio.Future[None]") -> None:
    """Its error says nothing new: that the producer is not sound was known."""
    if not task.cancelled():
        task.exception()


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
