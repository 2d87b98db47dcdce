"""The commitment topic through a bus: what was committed to, and a key ring that publishes there."""

import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import datetime

from schemas.draw import DrawCommitment
from schemas.envelope import Event, from_record
from schemas.payload import BadRecord
from schemas.record import Record
from schemas.topics import COMMITMENTS
from workers.draw_keys import Committed, KeyRing, commitments
from workers.mechanism.epochs import epoch_of
from workers.stream.bus import Bus

log = logging.getLogger(__name__)


async def read_commitments(bus: Bus) -> dict[str, Committed]:
    """All that the topic holds, by epoch. What is no commitment is passed over, with a warning."""
    async with aclosing(bus.stored([COMMITMENTS.name])) as records:
        events = [event async for record in records if (event := _read(record)) is not None]
    return commitments(events)


def _read(record: Record) -> Event[DrawCommitment] | None:
    try:
        return from_record(record, COMMITMENTS)  # type: ignore[return-value]  # this topic carries nothing else
    except BadRecord as error:
        log.warning("%s passed over, it is no commitment: %s: %s", record.place, error.reason.name, error)
        return None


async def open_key_ring(bus: Bus, secrets: Sequence[bytes], now: Callable[[], datetime]) -> KeyRing:
    """A ring that has committed to today and tomorrow. SettingsError: they are committed to another secret's keys."""

    async def publish(event: Event[DrawCommitment]) -> None:
        await bus.publish([event.to_record()])

    async def read() -> dict[str, Committed]:
        return await read_commitments(bus)

    ring = KeyRing(secrets, publish, read, now)
    await ring.key(epoch_of(now()))
    return ring
