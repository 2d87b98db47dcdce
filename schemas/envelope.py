"""CloudEvents 1.0 around an event: Kafka binary mode (headers, the value bare) and structured JSON lines."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Generic, TypeVar

from schemas.headers import bad_headers, headers_of_others, our_headers
from schemas.identity import derive
from schemas.moments import read_moment
from schemas.payload import IDENTIFIER, BadRecord, Payload
from schemas.reasons import DeadLetterReason
from schemas.record import Headers, Outgoing, Record
from schemas.topics import Topic, topic_of

P = TypeVar("P", bound=Payload, covariant=True)
Q = TypeVar("Q", bound=Payload)

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
STRUCTURED = "application/cloudevents"
STRUCTURED_MODE = (
    "the content-type says CloudEvents in structured mode, which is not read here: send them in binary mode, the "
    "attributes as headers ce_..., what stands in `data` alone as the value, and content-type application/json"
)
FIRST_TIME, LAST_TIME = (
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2262, 1, 1, tzinfo=UTC),
)  # int64 nanoseconds hold these


@dataclass(frozen=True)
class Event(Generic[P]):
    """An event with its envelope. `value` is the exact bytes of `data`: digests are over them, never over a rewrite."""

    data: P
    value: bytes
    id: str
    source: str
    subject: str  # the record's key: the query id, or on the billing topic the advertiser id
    time: datetime
    correlation_id: str  # the query id
    causation_id: str | None = None  # the id of the event this one follows from
    expiry_time: datetime | None = None  # a stated deadline: nobody waits for the reply any more
    trace_parent: str | None = None
    origin: tuple[str, ...] = ()  # where it was read; only for deriving ids
    others: Headers = ()  # headers that are nobody's here, such as a tracing context: bytes that travel along
    stamped_at: datetime | None = field(default=None, compare=False)  # the record's stamp, whoever set it
    recorded_at: datetime | None = None  # when the broker took the record; None where only its producer stamped it

    @property
    def type(self) -> str:
        return self.data.event_type

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the value, hexadecimal."""
        return sha256(self.value).hexdigest()

    @property
    def taken_at(self) -> datetime:
        """By the broker's clock where it stamped the record: nothing can enter a period later that is over."""
        return self.recorded_at or self.time

    def follow(self, data: Q, *, source: str, auction_id: str, time: datetime) -> "Event[Q]":
        """The event that follows from this one; its id derives from the auction, so a replay gives the same."""
        subject = str(getattr(data, topic_of(data).key))
        return Event(
            data=data,
            value=data.encode(),
            id=derive("event", data.event_type, auction_id, subject),
            source=f"urn:tessera:{source}",
            subject=subject,
            time=time,
            correlation_id=self.correlation_id,
            causation_id=self.id,
            expiry_time=self.expiry_time,
            trace_parent=self.trace_parent,
            others=self.others if topic_of(data).key == "query_id" else (),  # not to advertisers
        )

    def attributes(self) -> dict[str, str]:
        """The CloudEvents context attributes, absent ones left out."""
        kind = self.type
        found = {
            "specversion": SPEC_VERSION,
            "id": self.id,
            "source": self.source,
            "type": kind,
            "time": timestamp(self.time),
            "subject": self.subject,
            "dataschema": f"urn:tessera:schema:{kind}",
            "correlationid": self.correlation_id,
        }
        if self.causation_id is not None:
            found["causationid"] = self.causation_id
        if self.expiry_time:
            found["expirytime"] = timestamp(self.expiry_time)
        if self.trace_parent is not None:
            found["traceparent"] = self.trace_parent
        return found

    def to_record(self) -> Outgoing:
        """The event as it is written to its topic."""
        headers: list[tuple[str, bytes | None]] = [
            ("ce_" + name, value.encode()) for name, value in self.attributes().items()
        ]
        headers.append(("content-type", CONTENT_TYPE.encode()))
        if self.trace_parent:
            headers.append(("traceparent", self.trace_parent.encode()))
        return Outgoing(self.type, self.subject.encode(), self.value, (*headers, *self.others))


@lru_cache(1_024)
def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, microseconds kept."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_record(record: Record, topic: Topic) -> Event[Payload]:
    """The event in `record`; what the envelope leaves out derives from topic, partition and offset.

    Raises BadRecord: BAD_HEADERS for an attribute that is not UTF-8 or malformed, BAD_KEY for a key
    that is not the id in the value, and what `Payload.decode` raises.
    """
    if record.flaw is not None:
        raise BadRecord(record.flaw.reason, record.flaw.message)
    attributes = our_headers(record.headers)
    _check(attributes, topic.name)
    data = topic.payload.decode(record.value)
    subject = _subject(record, getattr(data, topic.key))
    return Event(
        data=data,
        value=record.value or b"",
        id=attributes.get("id") or derive("event", *record.origin),
        source=attributes.get("source", f"urn:kafka:{record.topic}"),
        subject=subject,
        time=_time(attributes) or _stamp(record),
        correlation_id=attributes.get("correlationid") or getattr(data, "query_id", None) or subject,
        causation_id=attributes.get("causationid"),
        expiry_time=getattr(data, "stated_deadline", None) or moment(attributes, "expirytime"),
        trace_parent=attributes.get("traceparent"),
        origin=record.origin,
        others=headers_of_others(record.headers),
        stamped_at=_stamp_or_none(record),
        recorded_at=_stamp(record) if record.stamped_by_broker else None,
    )


def _check(attributes: Mapping[str, str], event_type: str) -> None:
    wanted = {"specversion": SPEC_VERSION, "type": event_type}
    for name, value in wanted.items():
        if attributes.get(name, value) != value:
            raise bad_headers(f"ce_{name} is {attributes[name]!r}; this topic carries {value!r}")
    content_type = attributes.get("content-type", CONTENT_TYPE).lower()
    if content_type.startswith(STRUCTURED):
        raise bad_headers(STRUCTURED_MODE)
    if not content_type.startswith(CONTENT_TYPE):
        raise bad_headers(f"content-type is {attributes['content-type']!r}; the value must be {CONTENT_TYPE}")


def moment(attributes: Mapping[str, str], name: str) -> datetime | None:
    """The time in the attribute of that name, None where it is left out. BadRecord: what is there is no time."""
    if (text := attributes.get(name)) is None:
        return None
    try:
        return read_moment(text)
    except ValueError as error:
        raise bad_headers(f"ce_{name}: {error}") from None


def _time(attributes: Mapping[str, str]) -> datetime | None:
    """What the producer says of the time: any that the programs of those who read it can hold."""
    said = moment(attributes, "time")
    if said is not None and not FIRST_TIME <= said < LAST_TIME:
        raise bad_headers(f"ce_time lies outside the years {FIRST_TIME.year} to {LAST_TIME.year - 1}")
    return said


def _stamp(record: Record) -> datetime:
    """When the record was stamped; a producer can write any number there."""
    try:
        return record.time
    except (ValueError, OverflowError, OSError):
        raise bad_headers(f"the record's timestamp, {record.timestamp_ms} ms, is no time") from None


def _stamp_or_none(record: Record) -> datetime | None:
    try:
        return _stamp(record) if record.timestamp_ms > 0 else None
    except BadRecord:
        return None


def _subject(record: Record, declared: str | None) -> str:
    """The id the record is keyed by: as declared in the value, or else its key, or else derived from its position."""
    if record.key is None:
        return declared or derive("query", *record.origin)[:32]
    try:
        key = record.key.decode()
    except UnicodeDecodeError:
        raise BadRecord(DeadLetterReason.BAD_KEY, "the key is not UTF-8") from None
    if declared is None:
        return _as_identifier(key)
    if key != declared:
        raise BadRecord(DeadLetterReason.BAD_KEY, "the key is not the id in the value")
    return declared


def _as_identifier(key: str) -> str:
    if not re.fullmatch(IDENTIFIER, key):
        raise BadRecord(DeadLetterReason.BAD_KEY, "the value has no query_id and the key cannot be one")
    return key
