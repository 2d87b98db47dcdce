"""Dead letters through a bus: read from their topics, and redriven to the topics they came from."""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from datetime import datetime

from aiokafka.errors import KafkaError

from schemas.dead_letter import Header
from schemas.letter import DeadLetter
from schemas.record import Outgoing
from workers.errors import BrokerError
from workers.stream.bus import Bus

RECORDS_PER_PUBLISH = 100


async def read_letters(
    bus: Bus, topics: Collection[str], reason: str | None = None, since: datetime | None = None
) -> AsyncGenerator[DeadLetter, None]:
    """The dead letters that these topics hold, older ones first; only of a `reason`, or stamped at `since` or later."""
    since_ms = since.timestamp() * 1_000 if since else None
    async with aclosing(bus.stored(sorted(topics))) as records:
        async for record in records:
            letter = DeadLetter(record)
            if reason in (None, letter.reason) and (since_ms is None or record.timestamp_ms >= since_ms):
                yield letter


async def republish(bus: Bus, records: Sequence[Outgoing]) -> None:
    """Write all of them, some at a time. BrokerError says how many are certainly written when Kafka refuses."""
    for done in range(0, len(records), RECORDS_PER_PUBLISH):
        batch = records[done : done + RECORDS_PER_PUBLISH]
        try:
            await bus.publish(batch)
        except (KafkaError, TimeoutError) as error:
            raise BrokerError(
                f"Kafka did not take everything ({error!r}): {done} of {len(records)} records are published, the next "
                f"{len(batch)} may be; look for their header {Header.REDRIVEN} before you redrive them again"
            ) from error
