"""Every event survives its bytes: fields, floats and the bytes themselves; and what readers forgive."""

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.auction import Candidate, CandidatesScored
from schemas.envelope import Event, from_record
from schemas.payload import BadRecord
from schemas.reasons import AbstentionReason, DeadLetterReason, VoidReason
from schemas.topics import BY_NAME, CHARGED, COMMITMENTS, CREDITED, QUERIES, SETTLED_QUERIES, TOPICS
from tests.support.builders import make_candidate, make_events, make_query, make_record, make_scored, make_settled

EVENTS = make_events()
IDS = [event.type for event in EVENTS]


def test_there_is_an_event_for_every_topic() -> None:
    assert IDS == [topic.name for topic in TOPICS]


@pytest.mark.parametrize("event", EVENTS, ids=IDS)
def test_decoding_and_encoding_give_the_same_bytes(event: Event[Any]) -> None:
    decoded = type(event.data).decode(event.value)

    assert decoded == event.data
    assert decoded.encode() == event.value


@pytest.mark.parametrize("event", EVENTS, ids=IDS)
def test_an_event_survives_its_record(event: Event[Any]) -> None:
    found = from_record(make_record(event, offset=7), BY_NAME[event.type])

    for name in ("data", "value", "id", "source", "subject", "time", "correlation_id", "causation_id", "expiry_time"):
        assert getattr(found, name) == getattr(event, name), name
    assert found.origin == (event.type, "0", "7")


@given(st.floats(min_value=-1e9, max_value=0.0))
@settings(max_examples=300)
def test_floats_come_back_as_the_same_float64(number: float) -> None:
    value = make_candidate(log_q=number).model_dump_json()

    found = Candidate.model_validate_json(value).log_q

    assert struct.pack(">d", found) == struct.pack(">d", number)


@pytest.mark.parametrize("number", [-0.1, -1e-7, -1 / 3, -5e-324, -999999999.9999999, -123456789.12345679])
def test_floats_are_written_in_their_shortest_form(number: float) -> None:
    text = json.loads(make_candidate(log_q=number).model_dump_json(), parse_float=str)["log_q"]

    digits = repr(number).lower().split("e")[0].strip("-0.").replace(".", "")
    assert float(text) == number
    assert len(text.lower().split("e")[0].strip("-0.").replace(".", "")) <= len(digits)


def test_rewards_of_the_largest_event_come_back() -> None:
    event = make_scored(3, candidates=256, advertisers=64)

    assert CandidatesScored.decode(event.value) == event.data
    assert len(event.value) < CandidatesScored.max_bytes


def test_money_is_exact_above_what_a_float_holds() -> None:
    reply, (bill, _) = make_settled(make_scored())
    value = bill.data.model_copy(update={"charge_micros": 10**15 - 1}).encode()

    assert b'"charge_micros":999999999999999,' in value
    assert type(bill.data).decode(value).charge_micros == 10**15 - 1
    assert all(weight == int(weight) for weight in json.loads(reply.value)["weights"])


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_writers_cannot_write_what_is_not_finite(number: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        make_candidate(log_q=number)


# Evolution: a newer writer may add fields, except to what strangers write


def with_news(value: Any) -> Any:
    """The same JSON with an unknown field in every object that is a model (not in a map from ids)."""
    if isinstance(value, list):
        return [with_news(item) for item in value]
    if not isinstance(value, dict):
        return value
    news = {} if value and all(isinstance(item, list) for item in value.values()) else {"news": {"since": 2}}
    maps = ("clamped", "reward_origins")
    return {name: item if name in maps else with_news(item) for name, item in value.items()} | news


@pytest.mark.parametrize("event", EVENTS[1:], ids=IDS[1:])
def test_readers_of_our_own_events_ignore_unknown_fields(event: Event[Any]) -> None:
    fields = with_news(json.loads(event.value))
    flat = event.type in (
        CHARGED.name,
        COMMITMENTS.name,
        SETTLED_QUERIES.name,
        CREDITED.name,
    )  # nothing inside them is a model
    assert json.dumps(fields).count('"news"') >= (1 if flat else 2)

    newer = from_record(make_record(json.dumps(fields).encode(), BY_NAME[event.type]), BY_NAME[event.type])

    assert newer.data == event.data
    assert b"news" in newer.value  # the digest is over what was written


@pytest.mark.parametrize("where", ["query", "advertiser", "parameters"])
def test_a_query_with_an_unknown_field_is_refused(where: str) -> None:
    fields = json.loads(make_query().value)
    target = {"query": fields, "advertiser": fields["advertisers"][1], "parameters": fields["parameters"]}[where]
    target["blocked_category"] = "gambling"  # a slip of the pen must not be dropped in silence

    with pytest.raises(BadRecord) as caught:
        from_record(make_record(json.dumps(fields).encode()), QUERIES)

    assert caught.value.reason is DeadLetterReason.BAD_SCHEMA


@pytest.mark.parametrize("event", EVENTS, ids=IDS)
def test_writers_are_held_to_their_fields(event: Event[Any]) -> None:
    with pytest.raises(ValueError, match="news"):
        type(event.data)(**dict(event.data), news=1)


@pytest.mark.parametrize("event", EVENTS, ids=IDS)
def test_events_are_immutable(event: Event[Any]) -> None:
    with pytest.raises(ValueError, match="frozen"):
        event.data.query_id = "other"


# Numbers that others store: pinned, never reused

DEAD_LETTERS = {
    "BAD_JSON": 1,
    "BAD_SCHEMA": 2,
    "TOO_LARGE": 3,
    "BAD_NUMBER": 4,
    "DUPLICATE_QUERY": 7,
    "EXPIRED": 8,
    "ENGINE_REJECTED": 10,
    "RETRIES_EXHAUSTED": 11,
    "CRASHED_WORKER": 12,
    "BAD_HEADERS": 14,
    "BAD_KEY": 15,
    "BAD_EPOCH": 16,
    "UNREADABLE": 17,
    "SET_ASIDE": 18,
    "WRONG_PARTITION": 19,
    "KEY_REVEALED": 20,
}
ABSTENTIONS = {
    "NO_CONSENT": 101,
    "BLOCKED_CATEGORY": 102,
    "PROMPT_REJECTED": 103,
    "ENGINE_FAILED": 104,
    "DEADLINE_PASSED": 105,
    "REWARD_NOT_FINITE": 106,
    "OWN_MODEL_DOWN": 107,
    "BELOW_FLOOR": 108,
    "MISLEADING_NAME": 109,
    "UNKNOWN_ADVERTISER": 110,
    "NOT_APPROVED": 111,
    "OUTSIDE_SCHEDULE": 112,
    "OTHER_CATEGORY": 113,
    "BLOCKED_BY_ADVERTISER": 114,
    "SENSITIVE_QUESTION": 115,
    "RIVAL_PRESENT": 116,
    "NOT_AMONG_FIRST": 117,
    "OTHER_CURRENCY": 118,
    "INLINE_FORBIDDEN": 122,
    "OTHER_REWARD_SOURCE": 123,
}
VOIDS = {
    "REFERENCE_NOT_SCORED": 201,
    "DEADLINE_PASSED": 202,
    "ALL_ABSTAINED": 203,
    "OTHER_TOKENIZER": 204,
    "LATE": 205,
}


@pytest.mark.parametrize(
    ("reasons", "pinned"), [(DeadLetterReason, DEAD_LETTERS), (AbstentionReason, ABSTENTIONS), (VoidReason, VOIDS)]
)
def test_reasons_keep_their_numbers(reasons: Any, pinned: dict[str, int]) -> None:
    """A new reason is added here with a new number; a line of these tables is never changed nor its number reused."""
    assert {reason.name: reason.value for reason in reasons} == pinned


def test_no_reason_code_has_two_meanings() -> None:
    numbers = [*DEAD_LETTERS.values(), *ABSTENTIONS.values(), *VOIDS.values()]

    assert len(set(numbers)) == len(numbers)
