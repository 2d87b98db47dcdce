"""What a dead letter keeps of its record: all of it where it fits, otherwise the beginning, and how much there was."""

from hashlib import sha256
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from schemas.dead_letter import KEPT_KEY_BYTES, KEPT_VALUE_BYTES, OWN_BYTES, dead_letter
from schemas.letter import DeadLetter
from schemas.reasons import DeadLetterReason as Reason
from schemas.record import Flaw, Record
from schemas.topics import DEAD_LETTER_MAX_BYTES, QUERIES
from tests.support.builders import SUBMITTED_AT
from workers.audit.log.dead_letters import read_refusal
from workers.audit.log.invariants import Invariant, Report
from workers.audit.log.query import content_digest
from workers.errors import BrokerError
from workers.operations.redrive import why_not
from workers.stream.partition.producer import _oversized, _Sent
from workers.stream.processing import _check_sound

LARGE = b"x" * DEAD_LETTER_MAX_BYTES


def letter_of(record: Record, most: int = DEAD_LETTER_MAX_BYTES) -> DeadLetter:
    made = dead_letter(record, "generation", Reason.TOO_LARGE, "too large", most)
    return DeadLetter(Record(made.topic, made.key, made.value, made.headers))


def size(letter: DeadLetter) -> int:
    headers = sum(len(name) + len(value or b"") + 10 for name, value in letter.record.headers)
    return len(letter.record.key or b"") + len(letter.record.value or b"") + headers


@pytest.mark.parametrize(
    "record",
    [
        Record("t", b"k", LARGE),
        Record("t", LARGE, b"v"),
        Record("t", b"k", b"v", (("h", LARGE),)),
        Record("t", LARGE, LARGE, (("h", LARGE),)),
        Record("t", b"k", b"v", (("h", b""),) * 2_000_000),
        Record("t", None, b"v" * (DEAD_LETTER_MAX_BYTES - OWN_BYTES)),
        Record("t", None, None, (("caf\udce9", b"\xff"),)),
    ],
    ids=["value", "key", "header", "everything", "many headers", "as much as fits", "hardly anything"],
)
def test_a_dead_letter_is_never_larger_than_its_topic_accepts(record: Record) -> None:
    assert size(letter_of(record)) <= DEAD_LETTER_MAX_BYTES


def test_a_dead_letter_that_fits_is_whole_and_has_no_truncation_headers() -> None:
    value = b"v" * (DEAD_LETTER_MAX_BYTES - OWN_BYTES - 1)
    letter = letter_of(Record("t", b"k", value))
    assert letter.is_whole
    assert not letter.is_cut


def test_a_truncated_dead_letter_states_the_original_size() -> None:
    letter = letter_of(Record("t", LARGE, LARGE, (("h", LARGE),)))

    assert (letter.record.key, letter.record.value) == (LARGE[:KEPT_KEY_BYTES], LARGE[:KEPT_VALUE_BYTES])
    said = letter.headers
    assert (said["dlq.value.bytes"], said["dlq.value.truncated"]) == (str(len(LARGE)), str(KEPT_VALUE_BYTES))
    assert (said["dlq.key.bytes"], said["dlq.key.truncated"]) == (str(len(LARGE)), str(KEPT_KEY_BYTES))
    assert said["dlq.headers.dropped"] == "1"
    assert letter.value_sha256 == letter.key_sha256 == sha256(LARGE).digest()


def test_a_truncated_dead_letter_is_never_redriven_not_even_by_force() -> None:
    record = Record(QUERIES.name, b"k", LARGE, (), 1, 2)
    assert "was cut" in str(why_not(letter_of(record), SUBMITTED_AT, force=True))


def test_foreign_headers_do_not_make_a_dead_letter_look_truncated() -> None:
    letter = letter_of(Record("t", b"k", b"v", (("dlq.value.truncated", b"0"), ("dlq.batch.codec", b"zstd"))))
    assert not letter.is_cut
    assert not letter.is_batch
    assert letter.original_headers == ()


@pytest.mark.parametrize("record", [Record("t", b"k", LARGE), Record("t", LARGE, b"v"), Record("t", None, LARGE)])
def test_verify_compares_a_truncated_dead_letter_by_its_digests(record: Record) -> None:
    report = Report()
    record = Record(QUERIES.name, record.key, record.value, (), 0, 7)
    letter = letter_of(record).record
    refusal = read_refusal(letter, report)

    assert refusal.digest == content_digest(record.key, record.value)
    assert not report.broken
    shorter = Record(letter.topic, letter.key, (letter.value or b"")[:-1], letter.headers)
    read_refusal(shorter, report)
    assert report.broken[Invariant.POISON_REFUSED] >= 1


def test_a_damaged_batch_is_not_a_refusal_and_its_error_says_what_to_do() -> None:
    flaw = Flaw(Reason.UNREADABLE, "the batch cannot be read", is_damage=True)
    with pytest.raises(BrokerError, match=r"tessera dlq send t/3/4"):
        _check_sound(Record("t", None, b"", (), 3, 4, flaw=flaw))


def test_a_too_large_batch_of_several_records_refuses_none_of_them() -> None:
    sent: Any = [_Sent([0, 2], None), _Sent([1], None), _Sent([3], None)]  # type: ignore[arg-type]
    several = _oversized(sent, [MessageSizeTooLargeError(), object(), object()])
    assert several is not None
    assert several.numbers == frozenset()
    one = _oversized(sent, [object(), RecordListTooLargeError(), ValueError()])
    assert one is not None
    assert one.numbers == {1}
    assert _oversized(sent, [object(), object(), ValueError()]) is None
