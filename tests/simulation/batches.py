"""A partition's records as a broker sends them to who fetches them raw: batches of aiokafka's own format."""

from collections.abc import Iterable
from struct import pack

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from tests.simulation.log import Stored

NO_PRODUCER = -1
BATCH_BYTES = 1 << 20


def batches(entries: Iterable[Stored]) -> tuple[bytes, list[tuple[int, int]]]:
    """One batch for each entry, and the aborted transactions: what readers do not see, markers too, is sent as one."""
    entries = list(entries)
    hidden = [(_producer(entry), entry.offset) for entry in entries if not entry.is_visible]
    return b"".join(_batch(entry) for entry in entries), hidden


def _producer(entry: Stored) -> int:
    """Every hidden entry has one of its own, so that nothing behind it counts as aborted."""
    return NO_PRODUCER if entry.is_visible else 1 + entry.offset


def _batch(entry: Stored) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, int(not entry.is_visible), _producer(entry), 0, 0, BATCH_BYTES)
    builder.append(0, entry.timestamp, entry.key, entry.value, list(entry.headers))
    return pack(">q", entry.offset) + bytes(builder.build())[8:]
