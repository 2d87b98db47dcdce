"""Batches of a fetch's answer, read so that nothing in them can end the reader: aiokafka's are replaced by these.

aiokafka unpacks a batch without a limit and raises what it cannot parse out of every read, so that one record ends each
process that comes to it (infra/decisions/0012). Here a batch is unpacked within a limit; what cannot be unpacked or
parsed is one record with a flaw, at the last offset that it covers, and reading goes on behind it.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBase, DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

from schemas.dead_letter import Header
from schemas.reasons import DeadLetterReason
from schemas.record import Flaw
from workers.stream.wire.decompression import NAMES, CannotUnpack, UnpacksToTooMuch, unpack
from workers.stream.wire.raw_records import FetchedRecord, parse

MOST_UNPACKED_BYTES = 32 * 1024 * 1024  # of one batch, and about of one answer: twice the largest message of a topic
MOST_RECORDS = 100_000  # of one batch
LIBRARY_BYTES = 1024 * 1024  # the library holds all of a record's headers at once: more is parsed here

OVERHEAD = struct.Struct(">qi")  # base offset, length of what follows
COUNT = struct.Struct(">i")
ATTRIBUTES = struct.Struct(">h")
MAGIC_AT, LEGACY_ATTRIBUTES_AT = 16, 17
LEGACY_KEY_AT = (18, 26)  # by message format
HEADER_BYTES = DefaultRecordBase.HEADER_STRUCT.size
ATTRIBUTES_AT = DefaultRecordBase.ATTRIBUTES_OFFSET
CODEC_MASK = DefaultRecordBase.CODEC_MASK
NO_TIME = -1


class FetchedBatches:
    """What aiokafka's fetcher takes for MemoryRecords: the batches of one partition in an answer.

    It ends early once MOST_UNPACKED_BYTES were unpacked: the fetcher then asks again from there.
    """

    def __init__(self, answer: bytes) -> None:
        self._rest = memoryview(answer)
        self._size, self._unpacked_bytes = len(answer), 0
        self._next = self._cut()

    def size_in_bytes(self) -> int:
        """Bytes of the whole answer."""
        return self._size

    def has_next(self) -> bool:
        """Whether there is another whole batch, and room to unpack it."""
        return self._next is not None and self._unpacked_bytes < MOST_UNPACKED_BYTES

    def next_batch(self) -> "Batch | None":
        """The next whole batch, still packed; None: there is none."""
        batch, self._next = self._next, self._cut()
        return batch

    def spend(self, unpacked_bytes: int) -> None:
        """So many bytes were unpacked."""
        self._unpacked_bytes += unpacked_bytes

    def _cut(self) -> "Batch | None":
        """The next whole batch; an answer may end in the middle of one."""
        if len(self._rest) < OVERHEAD.size:
            return None
        end = OVERHEAD.size + max(0, OVERHEAD.unpack_from(self._rest)[1])
        if end > len(self._rest):
            return None
        batch, self._rest = Batch(self._rest[:end], self), self._rest[end:]
        return batch


class Batch:
    """One batch, or a message of the formats before 2. What is not here is the library's batch."""

    def __init__(self, packed: memoryview, answer: FetchedBatches) -> None:
        self._packed, self._answer = packed, answer
        self._magic = packed[MAGIC_AT] if len(packed) > MAGIC_AT else NO_TIME
        self._unread: int = OVERHEAD.unpack_from(packed)[0]
        self._library: Any = self._parsed() or DamagedBatch(self._unread, self._believed_count())

    def _parsed(self) -> Any:
        """The library's batch; None: its checksum is wrong, or it is none."""
        with suppress(Exception):  # whatever the library says of bytes that are damaged
            whole = bytes(self._packed)
            batch = DefaultRecordBatch(whole) if self._magic == 2 else LegacyRecordBatch(whole, self._magic)
            return batch if batch.validate_crc() else None
        return None

    def _believed_count(self) -> int:
        """How many records a damaged batch has: what its header says twice, or else one."""
        if self._magic != 2 or len(self._packed) < HEADER_BYTES:
            return 1
        (delta,) = COUNT.unpack_from(self._packed, ATTRIBUTES_AT + ATTRIBUTES.size)
        (count,) = COUNT.unpack_from(self._packed, HEADER_BYTES - COUNT.size)
        return count if count == delta + 1 and 0 < count <= MOST_RECORDS else 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def __next__(self) -> Any:
        """The first record of a control batch."""
        return next(self._library)

    def validate_crc(self) -> bool:
        """A wrong checksum is a flaw, not an error."""
        return True

    def __iter__(self) -> Iterator[Any]:
        """The records, as far as they can be read, and one with a flaw in place of the rest."""
        try:
            for record in self._records():
                if self._magic == 2 and not self._unread <= record.offset < self._library.next_offset:
                    raise ValueError(f"offset {record.offset} is not one of the batch's, or stands there twice")
                self._unread = record.offset + 1
                yield record
        except Exception as error:  # noqa: BLE001  # anything: the record with the flaw says what
            yield self._remains(error)

    def _records(self) -> Iterator[Any]:
        if isinstance(self._library, DamagedBatch):
            raise Damaged
        return self._batched() if self._magic == 2 else self._legacy()

    def _batched(self) -> Iterator[Any]:
        count = COUNT.unpack_from(self._packed, HEADER_BYTES - COUNT.size)[0]
        if count > MOST_RECORDS:
            raise UnpacksToTooMuch(f"it holds {count:,} records; at most {MOST_RECORDS:,} of one batch are read")
        body, read = self._unpacked(self._codec, self._packed[HEADER_BYTES:]), 0
        if len(body) <= LIBRARY_BYTES:
            with suppress(Exception):  # what the library cannot take is parsed here, which says what is wrong
                for record in self._by_library(body):
                    yield record
                    read += 1
                return
        yield from islice(parse(body, self._library, count), read, None)

    def _by_library(self, body: memoryview) -> Any:
        if self._codec == 0:
            return self._library
        header = bytearray(self._packed[:HEADER_BYTES])
        ATTRIBUTES.pack_into(header, ATTRIBUTES_AT, self._attributes & ~CODEC_MASK)
        return DefaultRecordBatch(bytes(header) + body)

    def _legacy(self) -> Iterator[Any]:
        if self._codec:
            self._unpacked(self._codec, self._legacy_value())  # the library does it again, knowing that it is bounded
        for record in self._library:
            yield record if record.timestamp is not None else _without_time(record)

    def _legacy_value(self) -> memoryview:
        at = LEGACY_KEY_AT[self._magic]
        at += COUNT.size + max(0, COUNT.unpack_from(self._packed, at)[0])
        return self._packed[at + COUNT.size :]

    def _unpacked(self, codec: int, packed: memoryview) -> memoryview:
        try:
            body = unpack(codec, packed, MOST_UNPACKED_BYTES)
        except CannotUnpack:
            self._answer.spend(MOST_UNPACKED_BYTES)
            raise
        self._answer.spend(len(body))
        return body

    @property
    def _attributes(self) -> int:
        if self._magic == 2:
            return int(ATTRIBUTES.unpack_from(self._packed, ATTRIBUTES_AT)[0])
        return self._packed[LEGACY_ATTRIBUTES_AT]

    @property
    def _codec(self) -> int:
        return self._attributes & int(CODEC_MASK)

    def _remains(self, error: Exception) -> FetchedRecord:
        """What stands for everything behind the last record that could be read, at the last offset."""
        last, is_new = self._library.next_offset - 1, self._magic == 2 and not isinstance(error, Damaged)
        codec = "?" if isinstance(error, Damaged) else NAMES.get(self._codec, "?")
        about = {
            Header.BATCH_FIRST_OFFSET: str(self._unread),
            Header.BATCH_LAST_OFFSET: str(last),
            Header.BATCH_CODEC: codec,
        }
        return FetchedRecord(
            offset=last,
            timestamp=self._library.max_timestamp if is_new else NO_TIME,
            timestamp_type=self._library.timestamp_type if is_new else None,
            key=None,
            value=bytes(self._packed),
            headers=(),
            checksum=Flaw(
                DeadLetterReason.TOO_LARGE if isinstance(error, UnpacksToTooMuch) else DeadLetterReason.UNREADABLE,
                f"the batch with offsets {self._unread} to {last} cannot be read: {error or type(error).__name__}",
                tuple((name.value, text.encode()) for name, text in about.items()),
                is_damage=isinstance(error, Damaged),
            ),
        )


class Damaged(Exception):
    """The bytes are not those that were sent."""

    def __str__(self) -> str:
        return "its checksum is wrong, so it was damaged where it is stored or on its way"


@dataclass(frozen=True)
class DamagedBatch:
    """What is believed of a batch whose checksum is wrong: where it begins, and how many records it has."""

    base_offset: int
    count: int
    producer_id: None = None
    is_control_batch: bool = False
    is_transactional: bool = False

    @property
    def next_offset(self) -> int:
        """The offset behind its last record."""
        return self.base_offset + self.count


def _without_time(record: Any) -> FetchedRecord:
    return FetchedRecord(record.offset, NO_TIME, None, record.key, record.value, ())


# Every consumer of this process reads by these classes; a test holds what this release's fetcher asks of them.
fetcher.MemoryRecords = FetchedBatches
