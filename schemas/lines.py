"""Events and dead letters as text: CloudEvents structured-mode JSON, one event a line.

`data` comes last and holds the value's bytes unchanged, so that digests over the value survive export and import. The
extension attribute `brokertime` holds when the broker took the record: what is decided by that is decided again from
the line alone. `datasha256` is the digest of the value's bytes there: a line that jq wrote anew gives them back.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from schemas.dead_letter import Header
from schemas.envelope import CONTENT_TYPE, SPEC_VERSION, Event, from_record, moment, timestamp
from schemas.payload import BadRecord, Payload, refuse_twice
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from schemas.topics import BY_NAME, DEAD_LETTER_SUFFIX, Topic

BROKER_TIME, DATA_SHA256 = "brokertime", "datasha256"
ORIGIN = "origin"  # of a query's line: topic/partition/offset, and the topic's incarnation if any
NOT_CONTEXT = ("datacontenttype", BROKER_TIME, DATA_SHA256)  # of the line, and no header of its record
_DATA = re.compile(rb',\s*"data"\s*:\s*')  # cannot stand inside a string: its quotes would be escaped there
#: Headers of a dead letter that its line has as attributes.
_LETTERS_HEADERS = (
    Header.REASON,
    Header.CODE,
    Header.MESSAGE,
    Header.STAGE,
    Header.TOPIC,
    Header.PARTITION,
    Header.OFFSET,
    Header.VALUE_BYTES,
    Header.VALUE_TRUNCATED,
    Header.BATCH_FIRST_OFFSET,
    Header.BATCH_CODEC,
    Header.REDRIVEN,
    Header.REDRIVES,
)


def to_line(event: Event[Payload]) -> bytes:
    """The event as one line, without the line's end."""
    attributes = {**event.attributes(), "datacontenttype": CONTENT_TYPE}
    if event.recorded_at is not None:
        attributes[BROKER_TIME], attributes[DATA_SHA256] = timestamp(event.recorded_at), event.digest
    return _compact(attributes)[:-1] + b',"data":' + event.value + b"}"


def query_line(event: Event[Payload]) -> bytes:
    """A query as one line: where its record stands, and its producer's bytes as they were, in base64."""
    attributes = {**event.attributes(), ORIGIN: "/".join(event.origin)}
    if event.recorded_at is not None:
        attributes[BROKER_TIME] = timestamp(event.recorded_at)
    return _compact({**attributes, "data_base64": base64.b64encode(event.value).decode()})


def dead_letter_line(record: Record) -> bytes:
    """A dead letter as one line: its reason as attributes, the refused bytes as they were, in base64."""
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    attributes = {
        "specversion": SPEC_VERSION,
        "id": record.place,
        "source": f"urn:kafka:{record.topic}",
        "type": record.topic,
        "time": timestamp(record.time),
        "subject": (record.key or b"").decode(errors="replace"),
        **{header.attribute: headers[header] for header in _LETTERS_HEADERS if header in headers},
        "data_base64": base64.b64encode(record.value or b"").decode(),
    }
    return _compact({name: value for name, value in attributes.items() if value or name == "data_base64"})


def from_line(line: bytes) -> tuple[str, bytes, Mapping[str, Any]]:
    """Type, value and attributes of a line; raises BadRecord for what is not a structured event.

    The value is the exact bytes behind `"data":`, which must be the last member, as `to_line` writes it.
    """
    line = line.strip()
    found = _DATA.search(line)
    if found is None or not line.endswith(b"}"):
        raise BadRecord(
            DeadLetterReason.BAD_JSON,
            'not a structured CloudEvent with "data" as its last member; is the file truncated?',
        )
    attributes = _attributes(line[: found.start()] + b"}")
    kind, value = str(attributes.get("type", "")), line[found.end() : -1].rstrip()
    return kind, _as_it_was(kind, value, attributes.get(DATA_SHA256)), attributes


def _as_it_was(kind: str, value: bytes, digest: object) -> bytes:
    """The bytes with that SHA-256, where the value has them, or its event written anew has.

    A program that reads JSON and writes it again, as jq does, keeps what it says and not its bytes.
    """
    if digest is None or kind not in BY_NAME or sha256(value).hexdigest() == digest:
        return value
    try:
        again = BY_NAME[kind].payload.decode(value).encode()
    except BadRecord:
        return value  # whoever reads it says what is wrong
    return again if sha256(again).hexdigest() == digest else value


def read_event(line: bytes, topic: Topic) -> Event[Payload] | None:
    """The event of `topic` in a line, or None for a line of another type this system writes.

    A line that is no envelope is taken for the bare value, as a console consumer prints it. Raises BadRecord.
    """
    if b'"specversion"' not in line[:64]:
        return from_record(Record(topic.name, None, line.strip()), topic)
    if b'"data_base64"' in line and b'"data":' not in line:
        return None
    kind, value, attributes = from_line(line)
    if kind != topic.name:
        if kind not in BY_NAME and not kind.endswith(DEAD_LETTER_SUFFIX):
            raise BadRecord(
                DeadLetterReason.BAD_HEADERS, f"the line has type {kind!r}, which this system does not write"
            )
        return None
    headers = tuple((f"ce_{name}", str(text).encode()) for name, text in _context(attributes))
    event = from_record(Record(topic.name, None, value, headers), topic)
    return replace(event, recorded_at=recorded_at(attributes))


def recorded_at(attributes: Mapping[str, Any]) -> datetime | None:
    """When the broker took the record of a line, where the line says so. BadRecord: what it says is no time."""
    return moment({BROKER_TIME: str(attributes[BROKER_TIME])}, BROKER_TIME) if BROKER_TIME in attributes else None


def _context(attributes: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    return ((name, value) for name, value in attributes.items() if name not in NOT_CONTEXT)


def _attributes(text: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(text, object_pairs_hook=refuse_twice)
    except ValueError:
        raise BadRecord(DeadLetterReason.BAD_JSON, "the line's attributes are not JSON") from None
    if not isinstance(found, dict):
        raise BadRecord(DeadLetterReason.BAD_JSON, "the line is not a JSON object")
    return found


def _compact(attributes: Mapping[str, str]) -> bytes:
    return json.dumps(attributes, separators=(",", ":"), ensure_ascii=False).encode()
