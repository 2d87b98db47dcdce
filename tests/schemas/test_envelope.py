"""The envelope is CloudEvents 1.0 in Kafka binary mode: the `cloudevents` package reads ours, and we read its."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from schemas.envelope import Event, from_record
from schemas.identity import derive, netstrings
from schemas.topics import BY_NAME, QUERIES, SCORED
from tests.support.builders import (
    SUBMITTED_AT,
    envelop,
    make_events,
    make_query,
    make_record,
    make_scored,
    make_settled,
)

EVENTS = make_events()
IDS = [event.type for event in EVENTS]
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("event", EVENTS, ids=IDS)
def test_the_cloudevents_library_reads_what_we_write(event: Event[Any]) -> None:
    written = replace(event, causation_id="cause", trace_parent=TRACE).to_record()
    assert len(dict(written.headers)) == len(written.headers)

    found = from_binary(KafkaMessage(dict(written.headers), written.key, written.value), JSONFormat(), CloudEvent)

    assert found.get_specversion() == "1.0"
    assert found.get_type() == event.type == written.topic
    assert found.get_id() == event.id
    assert found.get_source() == event.source
    assert found.get_subject() == event.subject
    assert found.get_time() == SUBMITTED_AT
    assert found.get_datacontenttype() == "application/json"
    assert found.get_dataschema() == f"urn:tessera:schema:{event.type}"
    assert found.get_data() == json.loads(event.value)
    extensions = {name: found.get_extension(name) for name in ("correlationid", "causationid", "traceparent")}
    assert extensions == {"correlationid": event.correlation_id, "causationid": "cause", "traceparent": TRACE}
    assert found.get_extension("partitionkey") == event.subject  # the record's key
    assert dict(written.headers)["traceparent"].decode() == TRACE  # carried bare too


@pytest.mark.parametrize("event", EVENTS, ids=IDS)
def test_we_read_what_the_cloudevents_library_writes(event: Event[Any]) -> None:
    moment = datetime(2026, 11, 23, 14, 0, 0, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    attributes = {
        "id": "a stranger's id",
        "source": "/shop/42",
        "type": event.type,
        "specversion": "1.0",
        "time": moment,
        "subject": event.subject,
        "datacontenttype": "application/json",
        "correlationid": "theirs",
        "expirytime": "2031-05-06T07:08:09.000001Z",
        "traceparent": TRACE,
    }
    written = to_binary(CloudEvent(attributes, json.loads(event.value)), JSONFormat(), lambda _: event.subject)
    record = make_record(
        written.value, BY_NAME[event.type], key=event.subject.encode(), headers=tuple(written.headers.items())
    )

    found = from_record(record, BY_NAME[event.type])

    assert found.data == event.data
    assert found.value == written.value
    assert (found.id, found.source, found.time) == ("a stranger's id", "/shop/42", moment)
    assert (found.subject, found.correlation_id, found.trace_parent) == (event.subject, "theirs", TRACE)
    stated = getattr(event.data, "deadline", None)
    assert found.expiry_time == (stated or datetime(2031, 5, 6, 7, 8, 9, 1, tzinfo=UTC))


def test_times_are_written_in_utc_with_their_microseconds() -> None:
    moment = datetime(2026, 1, 1, 0, 0, 0, 7, tzinfo=timezone(timedelta(hours=-3)))

    event = envelop(make_query().data, time=moment)

    assert event.attributes()["time"] == "2026-01-01T03:00:00.000007Z"
    assert from_record(make_record(event), QUERIES).time == moment


# A JSON value and nothing else


BARE = b'{"text": "How?"}'


def test_missing_attributes_derive_from_the_records_position() -> None:
    record = make_record(BARE, partition=3, offset=17)

    event = from_record(record, QUERIES)

    assert event.id == derive("event", QUERIES.name, "3", "17")
    assert event.subject == event.correlation_id == derive("query", QUERIES.name, "3", "17")[:32]
    assert event.source == f"urn:kafka:{QUERIES.name}"
    assert event.time == SUBMITTED_AT  # the record's timestamp
    assert event.expiry_time is None
    assert event.origin == (QUERIES.name, "3", "17")


def test_different_positions_give_different_ids() -> None:
    records = [make_record(BARE, partition=p, offset=o) for p in (0, 1, 11) for o in (0, 1, 11, 111)]

    events = [from_record(record, QUERIES) for record in records]

    assert len({event.id for event in events} | {event.subject for event in events}) == 2 * len(records)


def test_reading_a_record_again_gives_the_same_ids() -> None:
    first, again = (from_record(make_record(BARE, offset=5), QUERIES) for _ in range(2))

    assert first == again


def test_the_key_is_the_query_id_where_the_value_has_none() -> None:
    assert from_record(make_record(BARE, key=b"order-66"), QUERIES).subject == "order-66"


def test_the_values_query_id_counts_where_there_is_no_key() -> None:
    value = b'{"text": "How?", "query_id": "order-66"}'

    assert from_record(make_record(value), QUERIES).subject == "order-66"
    assert from_record(make_record(value, key=b"order-66"), QUERIES).subject == "order-66"


def test_the_deadline_in_the_value_takes_precedence_over_the_header() -> None:
    value = b'{"text": "How?", "deadline": "2030-01-01T00:00:00Z"}'
    header = (("ce_expirytime", b"2040-01-01T00:00:00Z"),)

    assert from_record(make_record(value, headers=header), QUERIES).expiry_time == datetime(2030, 1, 1, tzinfo=UTC)
    assert from_record(make_record(BARE, headers=header), QUERIES).expiry_time == datetime(2040, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "headers",
    [
        (("content-type", b"application/json; charset=utf-8"),),
        (("content-type", b"Application/JSON"),),
        (("content-type", b""), ("ce_time", None), ("ce_id", b"")),  # empty is absent
        (("x-request", b"17"), ("ce_type", QUERIES.name.encode())),
    ],
)
def test_headers_without_meaning_are_accepted(headers: Any) -> None:
    event = from_record(make_record(BARE, headers=headers), QUERIES)

    assert event.id == derive("event", QUERIES.name, "0", "0")


def test_recorded_at_is_set_only_from_a_timestamp_of_the_broker() -> None:
    forged = (("ce_brokertime", b"1970-01-01T00:00:00Z"), ("ce_time", b"1970-01-01T00:00:00Z"))
    value = make_query().value

    by_broker = from_record(make_record(value, headers=forged, by_broker=True), QUERIES)
    by_producer = from_record(make_record(value, headers=forged), QUERIES)

    assert by_broker.recorded_at == SUBMITTED_AT
    assert by_producer.recorded_at is None
    assert by_broker.time == by_producer.time == datetime(1970, 1, 1, tzinfo=UTC)


# What follows from an event


def test_a_following_event_names_its_cause_and_keeps_the_trace() -> None:
    query = envelop(make_query().data, trace_parent=TRACE, expiry_time=SUBMITTED_AT)
    scored = make_scored()

    event = query.follow(scored.data, source="scoring", auction_id=scored.data.auction_id, time=SUBMITTED_AT)

    assert event.id == derive("event", SCORED.name, scored.data.auction_id, "query-0")
    assert (event.causation_id, event.correlation_id, event.trace_parent) == (query.id, "query-0", TRACE)
    assert event.expiry_time == SUBMITTED_AT
    assert event.source == "urn:tessera:scoring"
    assert event.value == scored.data.encode()
    assert event.digest == sha256(event.value).hexdigest()


def test_identities_of_different_lists_of_parts_differ() -> None:
    lists = [("ab", "c"), ("a", "bc"), ("abc",), ("a", "b", "c"), ("", "abc"), ("abc", ""), ("a,1:b", "c"), ("1:a,",)]

    assert len({derive(*parts) for parts in lists}) == len(lists)
    assert netstrings("draw", "", "é12") == "4:draw,0:,3:é12,".encode()
    assert derive("a", "") == sha256(b"1:a,0:,").hexdigest()


OTHERS: Any = (
    ("trace-bin", bytes(range(200, 224))),
    ("n", b"\x80\0"),
    ("caf\udce9", b"caf\xe9"),
    ("x", None),
    ("x", b""),
)


def test_foreign_headers_are_not_validated_and_are_copied_to_the_reply() -> None:
    event = from_record(make_record(BARE, headers=(*OTHERS, ("dlq.redrives", b"1"))), QUERIES)
    assert event.others == OTHERS

    followed = event.follow(make_scored().data, source="here", auction_id="a", time=event.time)
    assert followed.to_record().headers[-len(OTHERS) :] == OTHERS


def test_foreign_headers_are_not_copied_to_bills() -> None:
    event = from_record(make_record(BARE, headers=OTHERS), QUERIES)
    _, (charge, *_) = make_settled(make_scored())
    assert event.follow(charge.data, source="here", auction_id="a", time=event.time).others == ()


@pytest.mark.parametrize("headers", [(("x", b"y" * 8_192),), (("x", b""),) * 65], ids=["too large", "too many"])
def test_too_many_foreign_headers_are_all_left_behind(headers: Any) -> None:
    assert from_record(make_record(BARE, headers=headers), QUERIES).others == ()
