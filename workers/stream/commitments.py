"""The commitment topic through a bus: what was committed to, and a key ring that publishes there."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from schemas.draw import DrawCommitment
from schemas.envelope import Event
from schemas.topics import COMMITMENTS
from workers.draw_keys import Committed, KeyRing, bind
from workers.mechanism.epochs import epoch_of
from workers.stream.bus import Bus
from workers.stream.table import TopicTable


async def read_commitments(bus: Bus) -> Mapping[str, Committed]:
    """All that the topic holds, by epoch. What is no commitment is passed over, with a warning."""
    table = TopicTable(bus, COMMITMENTS, bind)
    await table.restore()
    return table


async def open_key_ring(
    bus: Bus, secrets: Sequence[bytes], now: Callable[[], datetime], sampling_secret: bytes | None = None
) -> KeyRing:
    """A ring that has committed to today and tomorrow. SettingsError: they are committed to another secret's keys.

    `sampling_secret`: that of the seeds, where it is known; the ring commits to their keys as well.
    """

    async def publish(event: Event[DrawCommitment]) -> None:
        await bus.publish([event.to_record()])

    table = TopicTable(bus, COMMITMENTS, bind)

    async def read() -> Mapping[str, Committed]:
        await table.restore()
        return table

    ring = KeyRing(secrets, publish, read, now, sampling_secret)
    await ring.key(epoch_of(now()))
    return ring
