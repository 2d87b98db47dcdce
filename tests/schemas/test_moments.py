"""Times that strangers write: what has no place in the calendar is refused, it never breaks a worker."""

import pytest

from schemas.envelope import from_record
from schemas.payload import BadRecord
from schemas.reasons import DeadLetterReason
from schemas.topics import QUERIES, SCORED
from tests.builders import make_query, make_record, make_scored

FAR = "9999-12-31T23:59:59-23:59"


@pytest.mark.parametrize("timestamp_ms", [-(10**15), 10**18])
def test_a_record_stamped_outside_the_calendar(timestamp_ms: int) -> None:
    record = make_record(b'{"text": "How?"}', timestamp_ms=timestamp_ms)
    with pytest.raises(BadRecord) as refused:
        from_record(record, QUERIES)
    assert refused.value.reason is DeadLetterReason.BAD_HEADERS


@pytest.mark.parametrize("name", ["ce_time", "ce_expirytime"])
def test_an_attribute_outside_the_calendar(name: str) -> None:
    record = make_record(b'{"text": "How?"}', headers=((name, FAR.encode()),))
    with pytest.raises(BadRecord) as refused:
        from_record(record, QUERIES)
    assert refused.value.reason is DeadLetterReason.BAD_HEADERS


def test_a_deadline_outside_the_calendar() -> None:
    with pytest.raises(BadRecord) as refused:
        QUERIES.payload.decode(b'{"text": "How?", "deadline": "%s"}' % FAR.encode())
    assert refused.value.reason is DeadLetterReason.BAD_SCHEMA


def test_a_decoded_moment_is_in_utc() -> None:
    value = make_query().value.replace(b'"deadline":null', b'"deadline":"2030-01-01T02:00:00+02:00"')
    assert b'"deadline":"2030-01-01T00:00:00Z"' in QUERIES.payload.decode(value).encode()


def test_an_auction_is_not_held_without_candidates() -> None:
    broken = {"candidates": (), "log_ref": (), "rewards_micros": {"advertiser-00": ()}}
    draft = make_scored().data.model_copy(update=broken)
    with pytest.raises(BadRecord) as refused:
        SCORED.payload.decode(draft.encode())
    assert refused.value.reason is DeadLetterReason.BAD_SCHEMA
