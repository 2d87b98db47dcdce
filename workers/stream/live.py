"""Committed records as they come, over a cluster whose brokers die and return."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence

from aiokafka.errors import KafkaError

from schemas.record import Record
from workers.errors import BrokerError
from workers.settings import Settings
from workers.stream.connection.admin_client import LATEST
from workers.stream.connection.clients import Clients
from workers.stream.reader import POLL_MS, RECORDS_PER_POLL, as_record, edges, reader

PATIENCE_S = 300.0  # so long no broker may answer
PAUSE_S = 1.0


async def live(settings: Settings, topics: Sequence[str], stop: asyncio.Event) -> AsyncGenerator[list[Record], None]:
    """What is committed from now on, each record once, in order per partition, some at a time; the first list is empty
    and says that reading has begun. Ends when `stop` is set.

    A consumer that fails is opened again where it stood. BrokerError: nothing answers at first, or for PATIENCE_S.
    """
    positions = await edges(Clients(settings), topics, LATEST)
    answered = time.monotonic()
    yield []
    while not stop.is_set():
        try:
            async with reader(Clients(settings), positions) as consumer:
                while not stop.is_set():
                    batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL)
                    answered = time.monotonic()
                    for at, records in batches.items():
                        positions[at] = records[-1].offset + 1
                        yield [as_record(record) for record in records]
        except (KafkaError, BrokerError, OSError) as error:
            _lose_patience(time.monotonic() - answered, error)
            await asyncio.sleep(PAUSE_S)


def _lose_patience(silence_s: float, error: Exception) -> None:
    if silence_s > PATIENCE_S:
        raise BrokerError(f"no broker has answered for {silence_s:.0f} s; the last error: {error}") from error
