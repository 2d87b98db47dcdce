"""The records of an unpacked batch (message format 2), one by one, with nothing decoded that may be anything.

Slower than the client library, and for what that cannot take: names of headers that are not UTF-8, more headers than
memory should hold. What is a record and what is not is Kafka's DefaultRecord.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from schemas.dead_letter import Header
from schemas.reasons import DeadLetterReason
from schemas.record import MOST_HEADERS, NAME_ERRORS, Flaw, Headers, too_many_headers

ATTRIBUTES_BYTES = 1
MOST_VARINT_BYTES = 10


@dataclass(frozen=True, slots=True)
class FetchedRecord:
    """What the client library's consumer takes for a record. `checksum` is free in this format: it carries a flaw."""

    offset: int
    timestamp: int
    timestamp_type: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers
    checksum: Flaw | None = None


def parse(body: memoryview, batch: Any, count: int) -> Iterator[FetchedRecord]:
    """`count` records; `batch` is the library's, for offsets and times. ValueError: the bytes are no records."""
    at = 0
    for _ in range(count):
        length, at = _varint(body, at)
        if not 0 < length <= len(body) - at:
            raise ValueError(f"a record of {length} bytes, where {len(body) - at} are left")
        yield _record(body[at : at + length], batch)
        at += length
    if at != len(body):
        raise ValueError(f"{len(body) - at} bytes behind the last record")


def _record(body: memoryview, batch: Any) -> FetchedRecord:
    elapsed, at = _varint(body, ATTRIBUTES_BYTES)
    number, at = _varint(body, at)
    key, at = _bytes(body, at)
    value, at = _bytes(body, at)
    count, at = _varint(body, at)
    headers = _headers(body, at, count) if count <= MOST_HEADERS else ()
    return FetchedRecord(
        offset=batch.base_offset + number,
        timestamp=batch.max_timestamp if batch.timestamp_type else batch.first_timestamp + elapsed,
        timestamp_type=batch.timestamp_type,
        key=key,
        value=value,
        headers=headers,
        checksum=None if count <= MOST_HEADERS else _too_many(count, len(body) - at),
    )


def _headers(body: memoryview, at: int, count: int) -> Headers:
    found = []
    for _ in range(count):
        name, at = _bytes(body, at)
        value, at = _bytes(body, at)
        found.append(((name or b"").decode(errors=NAME_ERRORS), value))
    if count < 0 or at != len(body):
        raise ValueError("a record's headers do not end where it ends")
    return tuple(found)


def _too_many(count: int, length: int) -> Flaw:
    about = ((Header.HEADERS_DROPPED.value, str(count).encode()), (Header.HEADERS_BYTES.value, str(length).encode()))
    return Flaw(DeadLetterReason.BAD_HEADERS, too_many_headers(count), about)


def _bytes(body: memoryview, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(body, at)
    if length < 0:
        return None, at
    if length > len(body) - at:
        raise ValueError(f"a field of {length} bytes, where {len(body) - at} are left")
    return bytes(body[at : at + length]), at + length


def _varint(body: memoryview, at: int) -> tuple[int, int]:
    """A zigzag number and where it ends. The library's reads beyond the end of what it is given."""
    number = 0
    for place, byte in enumerate(body[at : at + MOST_VARINT_BYTES]):
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at + place + 1
    raise ValueError("a number ends in the middle")
