"""Structured lines: the value's bytes, and so its digest, survive export and import."""

import base64
import json
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from schemas.envelope import Event, from_record
from schemas.lines import dead_letter_line, from_line, read_event, to_line
from schemas.payload import BadRecord
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from schemas.topics import BY_NAME, QUERIES, SCORED, SETTLED, TOPICS
from tests.support.builders import DEADLINE, SUBMITTED_AT, envelop, make_events, make_query, make_record, make_scored

EVENTS = make_events()
IDS = [event.type for event in EVENTS]
NASTY = [
    'Is ,"data":{"text":"x"} a field?',
    ',"data":',
    '"specversion"',
    '{"data_base64": "AAAA"}',
    "line\nend and \u2028 and \t and \\",
    'quotes " and \\" and \\\\',
    "}",
    "é 🌱 \x7f",
]


@pytest.mark.parametrize("event", EVENTS, ids=IDS)
def test_an_event_survives_its_line(event: Event[Any]) -> None:
    line = to_line(event)

    assert b"\n" not in line
    found = read_event(line + b"\n", BY_NAME[event.type])
    assert found is not None
    assert (found.value, found.digest, found.data) == (event.value, event.digest, event.data)
    for name in ("id", "source", "subject", "time", "correlation_id", "expiry_time"):
        assert getattr(found, name) == getattr(event, name), name
    assert to_line(found) == line


def test_a_line_says_when_the_broker_took_the_record() -> None:
    event = from_record(make_record(make_scored(), SCORED, by_broker=True), SCORED)

    found = read_event(to_line(event), SCORED)

    assert found is not None
    assert found.recorded_at == event.recorded_at == SUBMITTED_AT
    assert b"brokertime" not in to_line(make_scored())
    JSONFormat().read(CloudEvent, to_line(event))


def test_a_line_whose_brokers_time_is_no_time_is_refused() -> None:
    line = to_line(make_scored()).replace(b'{"specversion"', b'{"brokertime":1,"specversion"', 1)

    with pytest.raises(BadRecord, match="brokertime"):
        read_event(line, SCORED)


@pytest.mark.parametrize("event", EVENTS, ids=IDS)
def test_the_cloudevents_library_reads_a_line(event: Event[Any]) -> None:
    found = JSONFormat().read(CloudEvent, to_line(event))

    assert (found.get_type(), found.get_id(), found.get_subject()) == (event.type, event.id, event.subject)
    assert found.get_time() == SUBMITTED_AT
    assert found.get_datacontenttype() == "application/json"
    assert found.get_data() == json.loads(event.value)


@pytest.mark.parametrize("text", NASTY)
def test_text_that_looks_like_a_line_stays_text(text: str) -> None:
    event = make_query(text=text)
    envelope = envelop(event.data, source=f"urn:{text}".replace("\n", " "))

    found = read_event(to_line(envelope), QUERIES)

    assert found is not None
    assert found.value == event.value
    assert found.source == envelope.source


@pytest.mark.parametrize("text", NASTY)
def test_a_bare_value_is_read_whatever_its_text(text: str) -> None:
    event = make_query(text=text)

    found = read_event(event.value + b"\r\n", QUERIES)

    assert found is not None
    assert found.value == event.value


def test_a_bare_value_of_a_later_stage_is_read() -> None:
    event = make_scored()

    found = read_event(event.value, SCORED)

    assert found is not None
    assert (found.digest, found.subject) == (event.digest, "query-0")


def test_a_line_keeps_the_exact_bytes_of_its_event() -> None:
    value = b'{ "text" : "How\\u003f" ,  "query_id":"q-1" }'

    found = read_event(
        b'{"specversion":"1.0","type":"' + QUERIES.name.encode() + b'" , "data" : ' + value + b" }", QUERIES
    )

    assert found is not None
    assert found.value == value


@pytest.mark.parametrize("event", EVENTS, ids=IDS)
def test_lines_of_other_types_are_passed_over(event: Event[Any]) -> None:
    others = [topic for topic in TOPICS if topic.name != event.type]

    assert [read_event(to_line(event), topic) for topic in others] == [None] * len(others)


def test_a_dead_letter_is_passed_over() -> None:
    assert read_event(dead_letter_line(DEAD_LETTER), QUERIES) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"specversion":"1.0","type":"shop.order.v1","data":{}}', DeadLetterReason.BAD_HEADERS),
        (b'{"specversion":"1.0","data":{"text":"How?"}}', DeadLetterReason.BAD_HEADERS),
        (
            b'{"specversion":"0.3","type":"auction.query.submitted.v1","data":{"text":"a"}}',
            DeadLetterReason.BAD_HEADERS,
        ),
        (b'{"specversion":"1.0","type":"auction.query.submitted.v1"}', DeadLetterReason.BAD_JSON),
        (b'{"specversion":"1.0","type":"auction.query.submitted.v1","data":{"text":"a"', DeadLetterReason.BAD_JSON),
        (b'{"specversion":"1.0",,"data":{"text":"a"}}', DeadLetterReason.BAD_JSON),
        (
            b'{"specversion":"1.0","type":"t","type":"auction.query.submitted.v1","data":{"text":"a"}}',
            DeadLetterReason.BAD_JSON,
        ),
        (b'{"specversion":"1.0","type":"auction.query.submitted.v1","data":{"txt":"a"}}', DeadLetterReason.BAD_SCHEMA),
        (
            b'{"specversion":"1.0","type":"auction.query.submitted.v1","data":{"text":"a"},"id":"1"}',
            DeadLetterReason.BAD_JSON,
        ),
        (b"hello", DeadLetterReason.BAD_JSON),
        (b"", DeadLetterReason.BAD_JSON),
    ],
)
def test_a_line_that_is_no_event_is_refused(line: bytes, reason: DeadLetterReason) -> None:
    with pytest.raises(BadRecord) as caught:
        read_event(line, QUERIES)

    assert caught.value.reason is reason


def test_a_line_ends_with_the_event_byte_for_byte() -> None:
    kind, value, attributes = from_line(b' {"specversion":"1.0","type":"t","n":1,"data":[1, 2 ]} ')

    assert (kind, value) == ("t", b"[1, 2 ]")
    assert attributes == {"specversion": "1.0", "type": "t", "n": 1}


DEAD_LETTER = Record(
    topic=QUERIES.dead_letters,
    key=b"k\xff",
    value=b'\x00\xff not json, "data":',
    headers=(
        ("dlq.reason", b"BAD_JSON"),
        ("dlq.code", b"1"),
        ("dlq.message", "caf\u00e9".encode()),
        ("dlq.stage", b"generation"),
        ("stranger", b"\xff"),
    ),
    partition=2,
    offset=9,
    timestamp_ms=1_795_435_200_250,
)


def test_a_dead_letter_keeps_its_bytes_and_says_why() -> None:
    fields = json.loads(dead_letter_line(DEAD_LETTER))

    assert base64.b64decode(fields.pop("data_base64")) == DEAD_LETTER.value
    assert fields == {
        "specversion": "1.0",
        "id": f"{QUERIES.dead_letters}/2/9",
        "source": f"urn:kafka:{QUERIES.dead_letters}",
        "type": QUERIES.dead_letters,
        "time": "2026-11-23T12:00:00.250000Z",
        "subject": "k\ufffd",
        "dlqreason": "BAD_JSON",
        "dlqcode": "1",
        "dlqmessage": "café",
        "dlqstage": "generation",
    }


def test_a_dead_letter_without_key_or_value_is_a_line_too() -> None:
    fields = json.loads(dead_letter_line(Record(SETTLED.dead_letters, None, None)))

    assert fields["data_base64"] == ""
    assert "subject" not in fields


def test_a_line_keeps_the_deadline_of_its_event() -> None:
    event = make_scored()
    assert event.expiry_time == DEADLINE

    found = read_event(to_line(event), SCORED)

    assert found is not None
    assert found.expiry_time == DEADLINE
    assert found == from_record(make_record(event, partition=0, offset=0), SCORED)


def test_advertisers_named_like_fields_of_a_line_are_read_right() -> None:
    event = make_scored()
    value = event.value.replace(b'"advertiser-00"', b'"specversion"').replace(b'"advertiser-01"', b'"data"')
    event = envelop(type(event.data).decode(value))

    bare, line = read_event(event.value, SCORED), read_event(to_line(event), SCORED)

    assert bare is not None and line is not None
    assert bare.value == line.value == event.value
