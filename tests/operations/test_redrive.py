"""Dead letters read back: what a worker wrote, what strangers may have written there, and what is worth a redrive."""

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.dead_letter import dead_letter
from schemas.letter import DeadLetter, Place, redriven
from schemas.reasons import DeadLetterReason as Reason
from schemas.record import Headers, Outgoing, Record
from schemas.topics import DEAD_LETTERS, GENERATED, QUERIES, SCORED, SETTLED, Topic
from tests.support.builders import make_generated, make_query, make_record, make_scored
from workers.cli.redrive import why_forgotten
from workers.errors import TesseraError
from workers.operations.dead_letter_search import find
from workers.operations.redrive import HOPELESS, MOST_REDRIVES, parse_place, why_not

AT = datetime(2026, 11, 24, tzinfo=UTC)
TEXT = b'{"text":"How?"}'


def stored(outgoing: Outgoing, offset: int = 0, partition: int = 0) -> Record:
    return Record(outgoing.topic, outgoing.key, outgoing.value, outgoing.headers, partition, offset)


def letter_of(record: Record, reason: Reason = Reason.ENGINE_REJECTED, offset: int = 17) -> DeadLetter:
    return DeadLetter(stored(dead_letter(record, "generation", reason, "why not"), offset))


def query_letter(reason: Reason = Reason.ENGINE_REJECTED, headers: Headers = (), **changes: object) -> DeadLetter:
    record = make_record(make_query(**changes))  # type: ignore[arg-type]  # fields of a query
    return letter_of(replace(record, headers=(*record.headers, *headers)), reason)


def test_a_dead_letter_is_read_as_the_worker_wrote_it() -> None:
    letter = letter_of(make_record(TEXT, key=b"q", partition=3, offset=5), Reason.EXPIRED)

    assert (letter.reason, letter.code, letter.message, letter.stage) == ("EXPIRED", "8", "why not", "generation")
    assert letter.source == Place(QUERIES.name, 3, 5)
    assert str(letter.place) == f"{QUERIES.dead_letters}/0/17"
    assert (letter.redriven, letter.redrives, letter.query_id) == ("", 0, "q")


header_values = st.none() | st.binary(max_size=20)
header_names = st.text(max_size=10) | st.sampled_from(["dlq.reason", "dlq.topic", "dlq.redrives", "dlq.offset"])


@given(
    st.none() | st.binary(max_size=30),
    st.none() | st.binary(max_size=30),
    st.lists(st.tuples(header_names, header_values)),
)
@example(None, b'{"query_id": 5}', [("dlq.redrives", "²".encode()), ("dlq.reason", b"BAD_JSON")])
@example(None, b"[" * 10_000, [])
def test_a_redriven_record_equals_the_refused_one(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    letter = letter_of(Record(QUERIES.name, key, value, tuple(headers), 1, 2))

    again = redriven(letter)

    # The worker's own words count, whatever headers the record came with
    assert (letter.reason, letter.source, letter.is_whole) == ("ENGINE_REJECTED", Place(QUERIES.name, 1, 2), True)
    assert (again.topic, again.key, again.value) == (QUERIES.name, key, value)
    kept = [pair for pair in headers if not pair[0].startswith("dlq.")]
    added = [("dlq.redriven", str(letter.place).encode()), ("dlq.redrives", str(letter.redrives + 1).encode())]
    assert list(again.headers) == [*kept, *added]
    assert letter.query_id is None or isinstance(letter.query_id, str)


@given(
    st.none() | st.binary(max_size=30),
    st.none() | st.binary(max_size=30),
    st.lists(st.tuples(header_names, header_values)),
)
def test_a_record_without_the_headers_of_a_worker_is_never_redriven(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    letter = DeadLetter(Record(QUERIES.dead_letters, key, value, tuple(headers)))

    assert why_not(letter, AT, force=True) is not None


def test_a_dead_letters_query_id_is_its_key_or_the_values_query_id() -> None:
    for key, value, wanted in (
        (b"k", b'{"query_id":"v"}', "k"),
        (None, b'{"query_id":"v"}', "v"),
        (None, b'{"query_id":', None),
        (None, b'["query_id"]', None),
        (None, None, None),
        (b"\xff", TEXT, "\ufffd"),
    ):
        assert letter_of(make_record(value, key=key)).query_id == wanted


def test_a_record_refused_again_after_a_redrive_counts_its_redrives() -> None:
    letter = query_letter()
    for count in range(1, MOST_REDRIVES + 1):
        assert why_not(letter, AT, force=False) is None
        before, letter = letter, letter_of(stored(redriven(letter)), offset=17 + count)
        assert (letter.redrives, letter.redriven) == (count, str(before.place))
        assert [name for name, _ in redriven(letter).headers].count("dlq.redriven") == 1

    assert "redriven 3 times already" in str(why_not(letter, AT, force=False))
    assert why_not(letter, AT, force=True) is None


@pytest.mark.parametrize("reason", Reason)
def test_reasons_that_the_bytes_themselves_cause_need_force(reason: Reason) -> None:
    letter = query_letter(reason)

    may_succeed = (
        Reason.EXPIRED,
        Reason.ENGINE_REJECTED,
        Reason.RETRIES_EXHAUSTED,
        Reason.BAD_EPOCH,
        Reason.WRONG_PARTITION,
        Reason.SET_ASIDE,
        Reason.BAD_HEADERS,  # of others, which an earlier release judged
    )
    assert (why_not(letter, AT, force=False) is None) == (reason in may_succeed)
    assert (why_not(letter, AT, force=False) is not None) == (
        reason.name in HOPELESS or reason is Reason.CRASHED_WORKER
    )
    assert why_not(letter, AT, force=True) is None


def test_a_stated_deadline_that_has_passed_needs_force() -> None:
    late, early = AT - timedelta(seconds=1), AT + timedelta(seconds=1)
    in_envelope = {"headers": (("ce_expirytime", late.isoformat().encode()),)}

    for passed in (query_letter(deadline=late), query_letter(Reason.EXPIRED, **in_envelope)):  # type: ignore[arg-type]
        assert "2026-11-23T23:59:59Z, has passed: it would expire again" in str(why_not(passed, AT, force=False))
        assert why_not(passed, AT, force=True) is None
    assert why_not(query_letter(Reason.EXPIRED, deadline=early), AT, force=False) is None
    assert why_not(query_letter(Reason.EXPIRED), AT, force=False) is None  # it gets a new deadline when it is read


def test_a_query_refused_longer_ago_than_ids_are_remembered_is_not_redriven_even_by_force() -> None:
    """Redriven before, it may have been settled, and its id forgotten: a query is new each time it is redriven."""
    letter = query_letter()
    refused = DeadLetter(replace(letter.record, timestamp_ms=int(AT.timestamp() * 1_000)))

    assert why_forgotten(refused, AT) is None
    assert "ask again under a new id" in str(why_forgotten(refused, AT + timedelta(seconds=1)))
    scored = letter_of(make_record(make_generated()))  # it says itself how old its query is
    assert why_forgotten(scored, AT) is None


def test_later_stages_answer_a_late_auction_without_adverts() -> None:
    letter = letter_of(make_record(make_generated()), Reason.ENGINE_REJECTED)

    assert why_not(letter, AT + timedelta(days=10_000), force=False) is None
    assert redriven(letter).topic == GENERATED.name


def scored_letter(**changes: object) -> DeadLetter:
    return letter_of(make_record(make_scored(**changes)), Reason.BAD_EPOCH)  # type: ignore[arg-type]


def test_an_auction_is_redriven_when_its_day_has_begun() -> None:
    """AT is midnight: the day of its draw begins within the hour by which clocks may differ, or tomorrow."""
    day, tomorrow = scored_letter(draw_epoch="2026-11-24"), scored_letter(draw_epoch="2026-11-25")

    assert why_not(day, AT - timedelta(minutes=59), force=False) is None
    assert "2026-11-25, has not begun: redrive it then" in str(why_not(tomorrow, AT, force=False))
    assert why_not(tomorrow, AT, force=True) is None
    assert why_not(tomorrow, AT + timedelta(days=1), force=False) is None
    assert "no day" in str(why_not(scored_letter(draw_epoch=None), AT, force=False))


def test_a_record_that_is_no_query_is_said_to_be_refused_again() -> None:
    letter = letter_of(make_record(b'{"txet":"How?"}'))

    assert "would be refused again: BAD_SCHEMA" in str(why_not(letter, AT, force=False))


def with_header(letter: DeadLetter, name: str, value: bytes) -> DeadLetter:
    return DeadLetter(replace(letter.record, headers=(*letter.record.headers, (name, value))))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("dlq.topic", b"auction.billing.charged.v1", "comes from auction.billing.charged.v1, and the letters"),
        ("dlq.topic", b"", "no worker wrote it"),
        ("dlq.partition", b"-1", "no worker wrote it"),
        ("dlq.value.sha256", b"0" * 64, "the SHA-256 differs"),
    ],
)
def test_a_record_that_no_worker_wrote_is_not_redriven_even_by_force(name: str, value: bytes, says: str) -> None:
    letter = with_header(query_letter(), name, value)

    assert says in str(why_not(letter, AT, force=True))


@pytest.mark.parametrize("topic", (QUERIES, GENERATED, SCORED))
def test_an_offset_reference_is_parsed_as_it_is_printed(topic: Topic) -> None:
    place = Place(topic.dead_letters, 3, 12)

    assert parse_place(str(place)) == place
    assert DEAD_LETTERS[place.topic] is topic


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{QUERIES.dead_letters}/0", "expected TOPIC/PARTITION/OFFSET"),
        (f"{QUERIES.dead_letters}/0/-1", "expected TOPIC/PARTITION/OFFSET"),
        (f"{QUERIES.dead_letters}/0/²", "expected TOPIC/PARTITION/OFFSET"),
        (f"{QUERIES.dead_letters}/0/1/2", "expected TOPIC/PARTITION/OFFSET"),
        ("", "expected TOPIC/PARTITION/OFFSET"),
        (f"{QUERIES.name}/0/1", f"are in {QUERIES.dead_letters}"),
        (f"{SETTLED.dead_letters}/0/1", "there is no dead-letter topic"),
        ("shop.orders/0/1", "there is no dead-letter topic"),
    ],
)
def test_a_malformed_offset_reference_is_refused(text: str, says: str) -> None:
    with pytest.raises(TesseraError, match=says):
        parse_place(text)


async def some(letters: Iterable[DeadLetter]) -> AsyncIterator[DeadLetter]:
    for letter in letters:
        yield letter


async def test_dead_letters_are_found_in_the_order_requested() -> None:
    letters = [letter_of(make_record(json.dumps({"text": str(n)}).encode()), offset=n) for n in (4, 5, 7)]

    found = await find(some(letters), [letters[2].place, letters[0].place])

    assert found == [letters[2], letters[0]]


@pytest.mark.parametrize(
    ("partition", "offset", "says"),
    [
        (0, 3, "any more: the oldest that Kafka still keeps there is at offset 4"),
        (0, 8, "yet: the newest there is at offset 7"),
        (0, 6, "that offset holds none"),
        (1, 0, "partition 1 of .* holds none"),
    ],
)
async def test_a_missing_dead_letter_is_reported_with_the_reason(partition: int, offset: int, says: str) -> None:
    letters = [letter_of(make_record(TEXT), offset=n) for n in (4, 5, 7)]

    with pytest.raises(TesseraError, match=says):
        await find(some(letters), [letters[0].place, Place(QUERIES.dead_letters, partition, offset)])
