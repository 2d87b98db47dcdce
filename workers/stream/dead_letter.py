"""The letter about a refused record: key, value and headers untouched where they fit, with why and where beside them.

What is larger than the topic takes is cut: the letter then holds the beginning, and says how much there was and its
SHA-256, so that the record can be found and compared where it lies.
"""

from collections.abc import Iterator
from hashlib import sha256

from schemas.reasons import DeadLetterReason
from schemas.record import NAME_ERRORS, Headers, Outgoing, Record
from schemas.topics import DEAD_LETTER_MAX_BYTES

DEAD_LETTER_VERSION = "1"
MAX_MESSAGE_BYTES = 1_000
OWN_BYTES = 8 * 1024  # for the headers that are added, and a batch around the record
BYTES_PER_HEADER = 10  # two lengths
KEPT_VALUE_BYTES, KEPT_KEY_BYTES, KEPT_HEADERS_BYTES = 64 * 1024, 1024, 64 * 1024  # of what does not fit whole


def dead_letter(
    record: Record, stage: str, reason: DeadLetterReason, message: str, most: int = DEAD_LETTER_MAX_BYTES
) -> Outgoing:
    """The refused record with why and where in headers of its own; at most about `most` bytes."""
    fits = _size(record) <= most - OWN_BYTES
    key, value, headers = (record.key, record.value, record.headers) if fits else _cut(record)
    added = {**_why(record, stage, reason, message), **dict(_what_is_missing(record, key, value, headers))}
    about = () if record.flaw is None else record.flaw.about
    encoded = ((name, text.encode()) for name, text in added.items())
    return Outgoing(f"{record.topic}.dlq", key, value, (*headers, *encoded, *about))


def _why(record: Record, stage: str, reason: DeadLetterReason, message: str) -> dict[str, str]:
    value = record.value or b""
    return {
        "dlq.version": DEAD_LETTER_VERSION,  # the first: what stands before it is the record's
        "dlq.reason": reason.name,
        "dlq.code": str(int(reason)),
        "dlq.message": message.encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore"),
        "dlq.stage": stage,
        "dlq.topic": record.topic,
        "dlq.partition": str(record.partition),
        "dlq.offset": str(record.offset),
        "dlq.timestamp": str(record.timestamp_ms),
        "dlq.value.bytes": str(len(value)),
        "dlq.value.sha256": sha256(value).hexdigest(),
    }


def _cut(record: Record) -> tuple[bytes | None, bytes | None, Headers]:
    """The beginning of key and value, and the headers if they are few."""
    key = None if record.key is None else record.key[:KEPT_KEY_BYTES]
    value = None if record.value is None else record.value[:KEPT_VALUE_BYTES]
    return key, value, record.headers if _headers_size(record.headers) <= KEPT_HEADERS_BYTES else ()


def _what_is_missing(
    record: Record, key: bytes | None, value: bytes | None, headers: Headers
) -> Iterator[tuple[str, str]]:
    """Headers that say what was cut; none where nothing was."""
    if len(value or b"") < len(record.value or b""):
        yield "dlq.value.truncated", str(len(value or b""))
    if len(key or b"") < len(record.key or b""):
        yield "dlq.key.truncated", str(len(key or b""))
        yield "dlq.key.bytes", str(len(record.key or b""))
        yield "dlq.key.sha256", sha256(record.key or b"").hexdigest()
    if len(headers) < len(record.headers):
        yield "dlq.headers.dropped", str(len(record.headers))
        yield "dlq.headers.bytes", str(_headers_size(record.headers))


def _size(record: Record) -> int:
    return len(record.key or b"") + len(record.value or b"") + _headers_size(record.headers)


def _headers_size(headers: Headers) -> int:
    sizes = (len(name.encode(errors=NAME_ERRORS)) + len(value or b"") for name, value in headers)
    return sum(sizes) + BYTES_PER_HEADER * len(headers)
