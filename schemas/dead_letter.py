"""Dead letters: a refused record, untouched where it fits, and behind its own headers those that say why and where.

What is larger than the topic takes is cut: the letter then holds the beginning, and says how much there was and its
SHA-256, so that the record can be found and compared where it lies.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field

from schemas.reasons import DeadLetterReason
from schemas.record import NAME_ERRORS, Headers, Outgoing, Record
from schemas.topics import DEAD_LETTER_MAX_BYTES, DEAD_LETTER_SUFFIX

PREFIX = "dlq."  # of the headers that a dead letter, or its redrive, added
DOCUMENT = "dead_letter.v1"
MAX_MESSAGE_BYTES = 1_000
OWN_BYTES = 8 * 1024  # for the headers that are added, and a batch around the record
BYTES_PER_HEADER = 10  # two lengths
KEPT_VALUE_BYTES, KEPT_KEY_BYTES, KEPT_HEADERS_BYTES = 64 * 1024, 1024, 64 * 1024  # of what does not fit whole

Number: TypeAlias = Annotated[str, Field(pattern="^-?[0-9]{1,19}$")]
Digest: TypeAlias = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Header(StrEnum):
    """The names. Those before VERSION are the refused record's, whatever they are."""

    VERSION = "dlq.version"
    REASON = "dlq.reason"
    CODE = "dlq.code"
    MESSAGE = "dlq.message"
    STAGE = "dlq.stage"
    TOPIC = "dlq.topic"
    PARTITION = "dlq.partition"
    OFFSET = "dlq.offset"
    TIMESTAMP = "dlq.timestamp"
    VALUE_BYTES = "dlq.value.bytes"
    VALUE_SHA256 = "dlq.value.sha256"
    VALUE_TRUNCATED = "dlq.value.truncated"
    KEY_BYTES = "dlq.key.bytes"
    KEY_SHA256 = "dlq.key.sha256"
    KEY_TRUNCATED = "dlq.key.truncated"
    HEADERS_DROPPED = "dlq.headers.dropped"
    HEADERS_BYTES = "dlq.headers.bytes"
    BATCH_FIRST_OFFSET = "dlq.batch.first_offset"
    BATCH_LAST_OFFSET = "dlq.batch.last_offset"
    BATCH_CODEC = "dlq.batch.codec"
    REDRIVEN = "dlq.redriven"  # of a record: the letter that it comes from
    REDRIVES = "dlq.redrives"  # of a record: how often it, and those it was redriven from, went out again

    @property
    def attribute(self) -> str:
        """Its name as an attribute of a CloudEvent, which has letters and digits only."""
        return re.sub("[._]", "", self)


class DeadLetterHeaders(BaseModel):
    """The headers that a worker adds, by name; each value is text in UTF-8. The refused record's stand before them."""

    version: Literal["1"] = Field(alias=Header.VERSION.value)
    reason: str = Field(alias=Header.REASON.value, pattern="^[A-Z][A-Z_]*$", description="Why, for programs.")
    code: Number = Field(alias=Header.CODE.value, description="The reason's number, which is never reused.")
    message: str = Field(alias=Header.MESSAGE.value, max_length=MAX_MESSAGE_BYTES, description="Why, for people.")
    stage: str = Field(alias=Header.STAGE.value, description="Who refused it.")
    topic: str = Field(alias=Header.TOPIC.value, description="With partition and offset, where the record lies.")
    partition: Number = Field(alias=Header.PARTITION.value)
    offset: Number = Field(alias=Header.OFFSET.value)
    timestamp: Number = Field(alias=Header.TIMESTAMP.value, description="The record's, ms since 1970; -1: none.")
    value_bytes: Number = Field(alias=Header.VALUE_BYTES.value, description="Of the refused value; absent counts 0.")
    value_sha256: Digest = Field(alias=Header.VALUE_SHA256.value, description="Of the refused value.")
    value_truncated: Number | None = Field(None, alias=Header.VALUE_TRUNCATED.value, description="Bytes that are kept.")
    key_bytes: Number | None = Field(None, alias=Header.KEY_BYTES.value, description="Of a key that was cut.")
    key_sha256: Digest | None = Field(None, alias=Header.KEY_SHA256.value, description="Of a key that was cut.")
    key_truncated: Number | None = Field(None, alias=Header.KEY_TRUNCATED.value, description="Bytes that are kept.")
    headers_dropped: Number | None = Field(None, alias=Header.HEADERS_DROPPED.value, description="How many there were.")
    headers_bytes: Number | None = Field(None, alias=Header.HEADERS_BYTES.value, description="Of those dropped.")
    batch_first_offset: Number | None = Field(
        None,
        alias=Header.BATCH_FIRST_OFFSET.value,
        description="Of a batch nobody can read: the value is its bytes.",
    )
    batch_last_offset: Number | None = Field(None, alias=Header.BATCH_LAST_OFFSET.value)
    batch_codec: str | None = Field(None, alias=Header.BATCH_CODEC.value)


def dead_letter(
    record: Record, stage: str, reason: DeadLetterReason, message: str, most: int = DEAD_LETTER_MAX_BYTES
) -> Outgoing:
    """The refused record with why and where in headers of its own; at most about `most` bytes."""
    fits = _size(record) <= most - OWN_BYTES
    key, value, headers = (record.key, record.value, record.headers) if fits else _cut(record)
    added = {**_why(record, stage, reason, message), **dict(_what_is_missing(record, key, value, headers))}
    about = () if record.flaw is None else record.flaw.about
    encoded = ((name.value, text.encode()) for name, text in added.items())
    return Outgoing(record.topic + DEAD_LETTER_SUFFIX, key, value, (*headers, *encoded, *about))


def _why(record: Record, stage: str, reason: DeadLetterReason, message: str) -> dict[Header, str]:
    value = record.value or b""
    return {
        Header.VERSION: "1",  # the first: what stands before it is the record's
        Header.REASON: reason.name,
        Header.CODE: str(int(reason)),
        Header.MESSAGE: message.encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore"),
        Header.STAGE: stage,
        Header.TOPIC: record.topic,
        Header.PARTITION: str(record.partition),
        Header.OFFSET: str(record.offset),
        Header.TIMESTAMP: str(record.timestamp_ms),
        Header.VALUE_BYTES: str(len(value)),
        Header.VALUE_SHA256: sha256(value).hexdigest(),
    }


def _cut(record: Record) -> tuple[bytes | None, bytes | None, Headers]:
    """The beginning of key and value, and the headers if they are few."""
    key = None if record.key is None else record.key[:KEPT_KEY_BYTES]
    value = None if record.value is None else record.value[:KEPT_VALUE_BYTES]
    return key, value, record.headers if _headers_size(record.headers) <= KEPT_HEADERS_BYTES else ()


def _what_is_missing(
    record: Record, key: bytes | None, value: bytes | None, headers: Headers
) -> Iterator[tuple[Header, str]]:
    """Headers that say what was cut; none where nothing was."""
    if len(value or b"") < len(record.value or b""):
        yield Header.VALUE_TRUNCATED, str(len(value or b""))
    if len(key or b"") < len(record.key or b""):
        yield Header.KEY_TRUNCATED, str(len(key or b""))
        yield Header.KEY_BYTES, str(len(record.key or b""))
        yield Header.KEY_SHA256, sha256(record.key or b"").hexdigest()
    if len(headers) < len(record.headers):
        yield Header.HEADERS_DROPPED, str(len(record.headers))
        yield Header.HEADERS_BYTES, str(_headers_size(record.headers))


def _size(record: Record) -> int:
    return len(record.key or b"") + len(record.value or b"") + _headers_size(record.headers)


def _headers_size(headers: Headers) -> int:
    sizes = (len(name.encode(errors=NAME_ERRORS)) + len(value or b"") for name, value in headers)
    return sum(sizes) + BYTES_PER_HEADER * len(headers)
