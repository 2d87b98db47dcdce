"""The transactional producer of one input partition: what a stage publishes and the offset it has read, or neither."""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.producer import sender
from aiokafka.structs import OffsetAndMetadata

from schemas.record import Outgoing
from schemas.topics import DEAD_LETTER_MAX_BYTES
from workers.settings import Settings

T = TypeVar("T")

STEP_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 2.0
CLOSE_TIMEOUT_S = 1.0
REQUEST_TIMEOUT_MS = 8_000
TRANSACTION_TIMEOUT_MS = 20_000
BATCH_BYTES = 256 * 1024

# After a commit the broker still writes its markers, so the next transaction's first request is told to come back.
# aiokafka then sleeps this constant, 20 ms, whatever the settings; 2 ms makes small transactions three times faster.
PAUSE_BETWEEN_TRANSACTIONS_S = 0.002
sender.BACKOFF_OVERRIDE = PAUSE_BETWEEN_TRANSACTIONS_S


class WriterLost(Exception):
    """A step failed or an answer was lost: what the broker did is settled only by a new producer."""


class TransactionalWriter:
    """A producer with the partition's own transactional id. Every step may raise WriterLost: then discard it."""

    def __init__(self, settings: Settings, transactional_id: str) -> None:
        self.tainted = (
            False  # an answer was lost: what is committed stands, but the next transaction needs a new producer
        )
        self._producer = AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap_servers,
            client_id=transactional_id,
            transactional_id=transactional_id,
            acks="all",
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            max_request_size=DEAD_LETTER_MAX_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            value_serializer=_unwrapped,
        )

    async def start(self) -> None:
        """Fence every earlier owner of the id and settle the transaction it left open."""
        await _limited(self._producer.start())
        self._watch()

    async def begin(self) -> None:
        await _limited(self._producer.begin_transaction())

    async def send(self, records: Iterable[Outgoing]) -> None:
        """Publish inside the transaction; each record's own answer is awaited, a commit does not tell of a lost one."""
        await _limited(self._send(records))

    async def _send(self, records: Iterable[Outgoing]) -> None:
        """All records are handed over before the first is on its way, so that they travel in few, large batches."""
        send = self._producer.send
        sent = [
            await send(record.topic, (record.value,), key=record.key, headers=list(record.headers))
            for record in records
        ]
        await asyncio.gather(*sent)

    async def commit(self, partition: TopicPartition, offset: int, group: str) -> None:
        """Commit records and offset together."""
        offsets = {partition: OffsetAndMetadata(offset, "")}
        await _limited(self._producer.send_offsets_to_transaction(offsets, group))
        await _limited(self._producer.commit_transaction())

    async def discard(self) -> None:
        """Let go of it within a few seconds, whatever state it is in."""
        try:
            await asyncio.wait_for(self._producer.stop(), STOP_TIMEOUT_S)
        except (TimeoutError, KafkaError, OSError, AssertionError):
            with contextlib.suppress(TimeoutError, KafkaError, OSError):
                await asyncio.wait_for(self._producer.client.close(), CLOSE_TIMEOUT_S)

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


def _unwrapped(wrapped: tuple[bytes | None]) -> bytes | None:
    """The value. aiokafka sends no record without key and value; a stranger does, and its dead letter must go out."""
    return wrapped[0]


async def _limited(step: Awaitable[T]) -> T:
    try:
        return await asyncio.wait_for(step, STEP_TIMEOUT_S)
    except (KafkaError, TimeoutError, OSError, AssertionError) as error:  # aiokafka asserts states that brokers cause
        raise WriterLost(repr(error)) from error
