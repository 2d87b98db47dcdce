"""How long the oldest record waits that is not committed: by the broker's stamp, and never by a producer's."""

import time

import pytest

from schemas.record import Record
from workers.stream.offsets import Completion
from workers.stream.partition.lag import Uncommitted

STORED_MS = 1_700_000_000_000


def records(*offsets: int, by_broker: bool = True) -> list[Record]:
    return [
        Record("topic", None, b"", (), 0, offset, STORED_MS + 1_000 * offset, stamped_by_broker=by_broker)
        for offset in offsets
    ]


def stored_s(offset: int) -> float:
    return STORED_MS / 1_000 + offset


def test_the_oldest_is_the_first_record_that_is_not_committed() -> None:
    found = Uncommitted()
    found.delivered(records(3, 4, 6, 7))

    assert found.oldest_s(Completion(3, frozenset())) == stored_s(3)
    assert found.oldest_s(Completion(4, frozenset({6}))) == stored_s(4)
    assert found.oldest_s(Completion(5, frozenset({6}))) == stored_s(7)
    assert found.oldest_s(Completion(8, frozenset())) is None


def test_what_is_delivered_again_is_as_old_as_before() -> None:
    found = Uncommitted()
    found.delivered(records(3, 4, by_broker=False))
    before = found.oldest_s(Completion(3, frozenset()))
    found.delivered(records(3, 4, 5, by_broker=False))

    assert found.oldest_s(Completion(3, frozenset())) == before


def test_after_an_offset_was_set_back_the_records_count_again() -> None:
    found = Uncommitted()
    found.delivered(records(7))
    found.delivered(records(2, 3))

    assert found.oldest_s(Completion(2, frozenset())) == stored_s(2)


def test_a_stamp_that_its_producer_wrote_says_nothing() -> None:
    found = Uncommitted()
    began_s = time.time()
    found.delivered(records(0, by_broker=False))

    assert found.oldest_s(Completion(0, frozenset())) == pytest.approx(began_s, abs=60.0)
