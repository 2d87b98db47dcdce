"""Times that strangers write: what has no place in the calendar is refused, it never breaks a worker."""

import json
from datetime import datetime

import pytest

from schemas.envelope import from_record, timestamp
from schemas.moments import read_moment
from schemas.payload import BadRecord
from schemas.query import QuerySubmitted
from schemas.reasons import DeadLetterReason
from schemas.topics import QUERIES, SCORED
from tests.support.builders import SUBMITTED_AT, make_query, make_record, make_scored
from workers.cli.dlq import moment as since
from workers.errors import TesseraError

FAR = "9999-12-31T23:59:59-23:59"


@pytest.mark.parametrize("timestamp_ms", [-(10**15), 10**18])
def test_a_record_stamped_outside_the_calendar_is_refused(timestamp_ms: int) -> None:
    record = make_record(b'{"text": "How?"}', timestamp_ms=timestamp_ms)
    with pytest.raises(BadRecord) as refused:
        from_record(record, QUERIES)
    assert refused.value.reason is DeadLetterReason.BAD_HEADERS


@pytest.mark.parametrize("name", ["ce_time", "ce_expirytime"])
def test_a_time_attribute_outside_the_calendar_is_refused(name: str) -> None:
    record = make_record(b'{"text": "How?"}', headers=((name, FAR.encode()),))
    with pytest.raises(BadRecord) as refused:
        from_record(record, QUERIES)
    assert refused.value.reason is DeadLetterReason.BAD_HEADERS


def test_a_deadline_outside_the_calendar_is_refused() -> None:
    with pytest.raises(BadRecord) as refused:
        QUERIES.payload.decode(b'{"text": "How?", "deadline": "%s"}' % FAR.encode())
    assert refused.value.reason is DeadLetterReason.BAD_SCHEMA


READ = {
    "2026-11-24T08:00:00Z": "2026-11-24T08:00:00Z",
    "2026-11-24t08:00:00z": "2026-11-24T08:00:00Z",
    "2026-11-24 08:00:00+00:00": "2026-11-24T08:00:00Z",
    "2026-11-24T08:00:00.5-02:30": "2026-11-24T10:30:00.500000Z",
    "2026-11-24T08:00:00.1234567899Z": "2026-11-24T08:00:00.123456Z",
    "2016-12-31T23:59:60Z": "2017-01-01T00:00:00Z",
    "2016-12-31T18:29:60.9-05:30": "2017-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z": "0001-01-01T00:00:00Z",
}
REFUSED = {
    "week date": "2026-W48-2T08:00:00Z",
    "day of the year": "2026-328T08:00:00Z",
    "comma": "2026-11-24T08:00:00,5Z",
    "compact": "20261124T080000Z",
    "bare number": "1795435200",
    "bare number with a fraction": "1795435200.5",
    "no offset": "2026-11-24T08:00:00",
    "no seconds": "2026-11-24T08:00Z",
    "a day": "2026-11-24",
    "offset without a colon": "2026-11-24T08:00:00+0100",
    "offset of seconds": "2026-11-24T08:00:00+01:00:30",
    "offset of a day": "2026-11-24T08:00:00+24:00",
    "24 o'clock": "2026-11-24T24:00:00Z",
    "no day of the calendar": "2026-02-29T08:00:00Z",
    "leap second within a month": "2026-11-24T23:59:60Z",
    "leap second within a day": "2016-12-31T12:59:60Z",
    "second 61": "2016-12-31T23:59:61Z",
    "other digits": "٢٠٢٦-11-24T08:00:00Z",
    "blanks": " 2026-11-24T08:00:00Z",
    "line's end": "2026-11-24T08:00:00Z\n",
    "outside the calendar": FAR,
    "empty": "",
}


def deadline_of(text: str) -> datetime | None:
    found = QuerySubmitted.decode(json.dumps({"text": "How?", "deadline": text}).encode())
    return found.deadline


def expiry_of(text: str) -> datetime | None:
    record = make_record(b'{"text":"How?"}', headers=(("ce_expirytime", text.encode()),))
    return from_record(record, QUERIES).expiry_time


@pytest.mark.parametrize(("text", "same"), READ.items(), ids=list(READ))
def test_every_field_accepts_the_same_forms_of_time(text: str, same: str) -> None:
    assert timestamp(read_moment(text)) == same
    assert deadline_of(text) == expiry_of(text) == read_moment(text)
    assert since(text, SUBMITTED_AT) == read_moment(text)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_every_field_refuses_the_same_forms_of_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339|offset|day|hour|second|years"):
        read_moment(text)
    with pytest.raises(BadRecord):
        deadline_of(text)
    with pytest.raises(TesseraError):
        since(text, SUBMITTED_AT)
    if text:  # an empty header is none
        with pytest.raises(BadRecord):
            expiry_of(text)


@pytest.mark.parametrize("deadline", [1_795_435_200, 1.5, True, ["2026-11-24T08:00:00Z"]])
def test_a_bare_number_is_no_time(deadline: object) -> None:
    with pytest.raises(BadRecord):
        QuerySubmitted.decode(json.dumps({"text": "How?", "deadline": deadline}).encode())


def test_a_name_that_stands_twice_is_refused() -> None:
    """A gateway that takes the first of them would log another price than the one that is billed."""
    bid = '"advertiser_id":"a","name":"A","description":"selling","value_micros_per_nat":1,"value_micros_per_nat":9'
    for value in ('{"text":"How?","text":"Why?"}', '{"text":"How?","advertisers":[{' + bid + "}]}"):
        with pytest.raises(BadRecord, match="stands twice in one object") as caught:
            QuerySubmitted.decode(value.encode())
        assert caught.value.reason is DeadLetterReason.BAD_JSON
    assert QuerySubmitted.decode(b'{"text":"a \\"text\\": b","category":"text"}').text


def test_structured_mode_is_refused_and_named() -> None:
    value = b'{"specversion":"1.0","type":"auction.query.submitted.v1","id":"1","source":"s","data":{"text":"How?"}}'
    record = make_record(value, headers=(("content-type", b"application/cloudevents+json; charset=UTF-8"),))

    with pytest.raises(BadRecord, match="structured mode, which is not read here: send them in binary mode"):
        from_record(record, QUERIES)


def test_a_decoded_moment_is_in_utc() -> None:
    value = make_query().value[:-1] + b',"deadline":"2030-01-01T02:00:00+02:00"}'
    assert b'"deadline":"2030-01-01T00:00:00Z"' in QUERIES.payload.decode(value).encode()


def test_an_auction_is_not_held_without_candidates() -> None:
    broken = {"candidates": (), "log_ref": (), "rewards_micros": {"advertiser-00": ()}}
    draft = make_scored().data.model_copy(update=broken)
    with pytest.raises(BadRecord) as refused:
        SCORED.payload.decode(draft.encode())
    assert refused.value.reason is DeadLetterReason.BAD_SCHEMA
