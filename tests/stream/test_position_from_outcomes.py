"""Where a stage had come to, told by its outcomes: against a stage that is interrupted anywhere."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import dead_letter
from schemas.envelope import from_record
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from schemas.settled import QuerySettled
from schemas.topics import SCORED, SETTLED_QUERIES
from tests.support.builders import make_events, make_record, make_scored
from workers.stream.admin.outcomes import Outcomes, Reached
from workers.stream.offsets import WINDOW, Completion


def reached(
    finished: dict[int, bool], *, in_order: bool, begin: int = 0, by_hand: frozenset[int] = frozenset()
) -> Completion:
    """`finished`: of each stored offset whether an outcome is there; `by_hand`: it was set aside by an operator."""
    found = Reached(begin, in_order)
    for offset, is_finished in sorted(finished.items()):
        found.add(offset, finished=is_finished, by_hand=offset in by_hand)
    return found.completion


def test_without_any_outcome_the_restored_position_is_the_first_record() -> None:
    for in_order in (True, False):
        assert reached({7: False, 8: False}, in_order=in_order, begin=7) == Completion(7)


def test_in_order_everything_below_the_last_outcome_is_finished() -> None:
    assert reached({0: True, 1: False, 2: True, 3: False}, in_order=True) == Completion(3)


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("first_unfinished", [0, 10, 49])
def test_records_below_one_dead_lettered_by_hand_are_not_taken_for_finished(
    first_unfinished: int, in_order: bool
) -> None:
    finished = {offset: offset < first_unfinished or offset == 50 for offset in range(60)}

    found = reached(finished, in_order=in_order, by_hand=frozenset({50}))

    assert found == Completion(first_unfinished, frozenset({50}))


def test_in_order_an_outcome_behind_a_record_dead_lettered_by_hand_finishes_everything_below_it() -> None:
    by_hand = frozenset({10, 50, 52})
    finished = {offset: offset < 12 or offset in {50, 51, 52} for offset in range(60)}

    assert reached({**finished, 51: False}, in_order=True, by_hand=by_hand) == Completion(12, frozenset({50, 52}))
    assert reached(finished, in_order=True, by_hand=by_hand) == Completion(53)
    assert reached({10: True, 11: False}, in_order=True, begin=10, by_hand=by_hand) == Completion(11)


@pytest.mark.parametrize("in_order", [True, False])
def test_nothing_unfinished_before_the_last_outcome_is_left_out_however_much_lies_behind_it(in_order: bool) -> None:
    finished = {offset: offset < 10 or offset == 50 for offset in range(3 * WINDOW)}

    found = reached(finished, in_order=in_order, by_hand=frozenset({50}))

    assert found == Completion(10, frozenset({50}))


def test_out_of_order_outcomes_are_restored_as_finished() -> None:
    assert reached({0: True, 1: False, 2: True, 3: False, 5: True}, in_order=False) == Completion(1, frozenset({2, 5}))


@given(st.sets(st.integers(0, 60)), st.integers(0, 60))
def test_out_of_order_nothing_unfinished_is_left_out_and_nothing_finished_is_done_again(
    early: set[int], base: int
) -> None:
    finished = {offset: offset < base or offset in early for offset in range(61)}

    found = reached(finished, in_order=False)

    done = {offset for offset in range(61) if offset < found.base or offset in found.done}
    assert done == {offset for offset, is_finished in finished.items() if is_finished}


@pytest.mark.parametrize("seed", range(5))
def test_outcomes_deleted_by_retention_repeat_no_more_than_one_window(seed: int) -> None:
    # Given a log twice as long as the window, whose older outcomes are gone, and a stage that had finished most of it
    rng, last = random.Random(seed), 3 * WINDOW
    deleted = rng.randrange(last - 100)
    finished = {offset: offset >= deleted and rng.random() < 0.9 for offset in range(last)} | {last: True}

    found = reached(finished, in_order=False)

    assert last - WINDOW < found.base <= last + 1
    assert all(finished[offset] for offset in found.done)
    unfinished = [offset for offset in finished if not finished[offset] and offset > last - WINDOW]
    assert found.base == min(unfinished, default=last + 1)
    assert all(offset not in found.done for offset in unfinished)
    assert max(found.done, default=found.base) - found.base < WINDOW


def test_an_outcome_is_matched_by_its_cause_its_dead_letter_or_its_digest() -> None:
    scored = [make_record(make_scored(number)) for number in range(4)]
    scored = [replace(record, offset=number) for number, record in enumerate(scored)]
    used = next(event for event in make_events() if isinstance(event.data, QuerySettled)).to_record()
    outcomes = Outcomes()

    # Given outcomes of the first three: a record of the memory, one without headers, and a dead letter
    events = [from_record(record, SCORED) for record in scored]
    headers = [{"ce_causationid": event.id, "ce_correlationid": event.correlation_id} for event in events]
    outcomes.add(memory_record(scored[0], headers[0]))
    bare = QuerySettled.decode(used.value).model_copy(update={"scored_sha256": events[1].digest})
    outcomes.add(replace(memory_record(scored[1], {}), value=bare.encode()))
    letter = dead_letter(scored[2], "settlement", DeadLetterReason.BAD_EPOCH, "")
    outcomes.add(Record(letter.topic, letter.key, letter.value, letter.headers))

    assert [outcomes.has(record, SCORED) for record in scored] == [True, True, True, False]
    # A topic that was begun anew, or a copy on another cluster, has another record in the letter's place
    assert not outcomes.has(replace(scored[2], value=b"?", timestamp_ms=scored[2].timestamp_ms + 1), SCORED)


def test_a_dead_letter_written_by_hand_is_told_from_one_of_the_stage() -> None:
    by_hand, by_stage, both = (replace(make_record(make_scored(number)), offset=number) for number in range(3))
    outcomes = Outcomes()

    for record, reason in (
        (by_hand, DeadLetterReason.SET_ASIDE),
        (by_stage, DeadLetterReason.BAD_EPOCH),
        (both, DeadLetterReason.BAD_EPOCH),
        (both, DeadLetterReason.SET_ASIDE),
    ):
        letter = dead_letter(record, "settlement", reason, "")
        outcomes.add(Record(letter.topic, letter.key, letter.value, letter.headers))

    records = (by_hand, by_stage, both)
    assert [outcomes.has(record, SCORED) for record in records] == [True, True, True]
    assert [outcomes.was_set_aside(record) for record in records] == [True, False, False]


def memory_record(of: Record, headers: dict[str, str]) -> Record:
    said = tuple((name, value.encode()) for name, value in headers.items())
    return replace(of, topic=SETTLED_QUERIES.name, headers=said)
