"""From lines and records to the entries of an audit: the types it needs, decoded, with digests and places.

One more kind of entry is a scored event that settlement refused: its dead letter. Queries and generated events are read
where the log has them; one that cannot be read was refused by its stage, and is passed over.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from schemas.dead_letter import Header
from schemas.draw import DrawCommitment
from schemas.envelope import SPEC_VERSION, from_record
from schemas.letter import is_redriven
from schemas.lines import ORIGIN, from_line, recorded_at
from schemas.payload import BadRecord, Payload
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from schemas.topics import (
    BY_NAME,
    CHARGED,
    COMMITMENTS,
    CREDITED,
    DEAD_LETTER_SUFFIX,
    GENERATED,
    QUERIES,
    SCORED,
    SETTLED,
    TERMS,
)

TOPICS = (SCORED, SETTLED, CHARGED, COMMITMENTS, TERMS)
NAMES = (*(topic.name for topic in TOPICS), SCORED.dead_letters)
READ_FIRST = (CREDITED.name,)  # what is credited is compared with bills as they come
SOURCES = (QUERIES.name, GENERATED.name)  # what scored events follow from
PLACE = Header.TOPIC, Header.PARTITION, Header.OFFSET
DUPLICATE, EXPIRED = DeadLetterReason.DUPLICATE_QUERY.name, DeadLetterReason.EXPIRED.name
DIGESTED = (SCORED.name, SETTLED.name, CHARGED.name)


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """What a dead letter of a scored event says. Two that say the same are of one record, which was read again.

    Or, for DUPLICATE, of two records with the same bytes: the auction was scored again, and refused again.
    """

    place: str  # topic/partition/offset of the event; empty where the dead letter leaves it out, and for DUPLICATE
    sha256: str  # of the event's value
    reason: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An event of the log. `at`: its place, the line's number or the record's timestamp in milliseconds."""

    data: Payload
    sha256: str  # of the value; empty where nothing refers to it
    at: int
    false_reveal: bool = False  # a key was revealed whose SHA-256 is not the one beside it
    refusal: RefusedEvent | None = None  # of a scored event in a dead letter
    redriven: bool = False  # a scored event that was a dead letter and was sent through again
    recorded_at: datetime | None = None  # when the broker took it, where the log says so
    key: str | None = None  # of its record; None for a line that does not say
    origin: tuple[str, ...] = ()  # of a query: where its record stands


def read_line(line: bytes, number: int) -> LogEntry | None:
    """The entry in a CloudEvents line, or None for an event that an audit passes over. Raises BadRecord."""
    if b'"data_base64"' in line and b'"data":' not in line:
        return _in_base64(_whole(line), number)
    kind, value, attributes = from_line(line)
    _check(kind, attributes)
    if kind == GENERATED.name:
        _whole(value)
        return _source(Record(kind, None, value), number)
    if kind not in NAMES + READ_FIRST:
        _whole(value)
        return None
    key = None if (subject := attributes.get("subject")) is None else str(subject)
    return replace(_entry(kind, value, number), recorded_at=recorded_at(attributes), key=key)


def read_record(record: Record) -> LogEntry | None:
    """The entry in a record of a topic that is read, or None for one that is passed over. BadRecord."""
    if record.topic in SOURCES:
        return _source(record, record.timestamp_ms)
    if record.topic == SCORED.dead_letters:
        said = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
        place = "/".join(said.get(name, "") for name in PLACE)
        return _refused(record.value or b"", record.timestamp_ms, place, said.get(Header.REASON, ""))
    for name, value in record.headers:
        if name == "ce_type" and value != record.topic.encode():
            raise BadRecord(DeadLetterReason.BAD_HEADERS, f"ce_type is {value!r}; this topic carries {record.topic}")
    entry = _entry(record.topic, record.value or b"", record.timestamp_ms)
    taken_at, key = record.time if record.stamped_by_broker else None, (record.key or b"").decode(errors="replace")
    return replace(entry, redriven=is_redriven(record), recorded_at=taken_at, key=key)


def _check(kind: str, attributes: Mapping[str, object]) -> None:
    if attributes.get("specversion") != SPEC_VERSION:
        raise BadRecord(
            DeadLetterReason.BAD_HEADERS, f"specversion is {attributes.get('specversion')!r}, not {SPEC_VERSION!r}"
        )
    if kind not in BY_NAME and not kind.endswith(DEAD_LETTER_SUFFIX):
        raise BadRecord(
            DeadLetterReason.BAD_HEADERS,
            f"the line has type {kind!r}, which this release does not know; audit it with the release that wrote it",
        )


def _in_base64(line: object, at: int) -> LogEntry | None:
    """The entry in the line of a query, or of a dead letter: only that of a scored event is of interest."""
    if not isinstance(line, dict) or line.get("type") not in (QUERIES.name, SCORED.dead_letters):
        return None
    try:
        value = base64.b64decode(line["data_base64"], validate=True)
    except (ValueError, TypeError):
        raise BadRecord(DeadLetterReason.BAD_JSON, "data_base64 is not base64") from None
    if line["type"] == QUERIES.name:
        found = _source(Record(QUERIES.name, str(line.get("subject", "")).encode(), value), at)
        return found and replace(found, origin=tuple(str(line.get(ORIGIN, "")).split("/")))
    place = "/".join(str(line.get(name.attribute, "")) for name in PLACE)
    return _refused(value, at, place, str(line.get(Header.REASON.attribute, "")))


def _source(record: Record, at: int) -> LogEntry | None:
    """A query or a generated event; None for what its stage refused."""
    try:
        event = from_record(record, BY_NAME[record.topic])
    except BadRecord:
        return None
    return LogEntry(event.data, event.digest, at, key=event.subject, origin=event.origin)


def _refused(value: bytes, at: int, place: str, reason: str) -> LogEntry | None:
    """None for bytes that no auction can be told from: they were refused for that."""
    try:
        data, digest = SCORED.payload.decode(value), sha256(value).hexdigest()
        letter = RefusedEvent("" if reason == DUPLICATE else place, digest, reason or "?")
        return LogEntry(data, digest, at, refusal=letter)
    except BadRecord:
        if reason == DUPLICATE:
            raise
        return None


def _whole(text: bytes) -> object:
    """Also what is passed over must be JSON: a truncated file is told by its last line."""
    try:
        return json.loads(text)
    except ValueError:
        raise BadRecord(DeadLetterReason.BAD_JSON, "the line is not JSON; is the file truncated?") from None


def _entry(kind: str, value: bytes, at: int) -> LogEntry:
    try:
        data = BY_NAME[kind].payload.decode(value)
    except BadRecord:
        if kind == COMMITMENTS.name and (said := _false_reveal(value)) is not None:
            return LogEntry(said, "", at, false_reveal=True)
        raise
    return LogEntry(data, sha256(value).hexdigest() if kind in DIGESTED else "", at)


def _false_reveal(value: bytes) -> DrawCommitment | None:
    """The commitment without its keys, where a key is all that is wrong with it."""
    try:
        fields = json.loads(value)
        keys = [key for name in ("key", "sampling_key") if (key := fields.get(name)) is not None]
        if not keys or any(len(bytes.fromhex(key)) != 32 for key in keys):
            return None
        return DrawCommitment.decode(json.dumps({**fields, "key": None, "sampling_key": None}).encode())
    except (ValueError, TypeError, AttributeError, BadRecord):
        return None
