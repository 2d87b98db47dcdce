"""What a process knows of a partition, against a model: nothing is lost, repeated or overtaken, whatever the order."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from schemas.reasons import DeadLetterReason
from schemas.record import Record
from workers.errors import BrokerError
from workers.stream.offsets import WINDOW, Completion
from workers.stream.partition.crash_count import MOST_DEATHS, Attempts
from workers.stream.partition.fetcher import Fetching
from workers.stream.partition.state import (
    FIRST_PAUSE_S,
    GOOD_RUN_S,
    LONGEST_PAUSE_S,
    MOST_LARGE_BYTES,
    Commit,
    PartitionState,
    WorkerFailed,
)
from workers.stream.processing import Result

ROOM = 4
NOTHING = Completion(0)


def record(offset: int) -> Record:
    return Record("topic", b"k", b"v", (), 0, offset)


def deliver(state: PartitionState, *offsets: int) -> bool:
    return state.deliver([record(offset) for offset in offsets])


@dataclass
class Desk:
    """Work that was begun, and ends when it is told to."""

    state: PartitionState
    begun: list[int] = field(default_factory=list)
    pending: set[int] = field(default_factory=set)

    def begin(self) -> None:
        offsets = [record.offset for record, _ in self.state.begin()]
        self.begun += offsets
        self.pending |= {*offsets}

    def finish(self, *offsets: int, error: Exception | None = None) -> None:
        for offset in offsets:
            self.state.ended(offset, error or Result(offset))
            self.pending.discard(offset)


def opened(
    *, in_order: bool = False, at: Completion = NOTHING, room: int = ROOM, most: int = 10
) -> tuple[PartitionState, Desk]:
    made = PartitionState(room, in_order=in_order, most=most)
    made.opened(at)
    return made, Desk(made)


def commit(state: PartitionState) -> list[int]:
    """Commit what is finished: its offsets."""
    made = state.next_commit()
    if made is None:
        return []
    state.acknowledged(made)
    return offsets(made.results)


def offsets(results: Sequence[Result]) -> list[int]:
    return [result.offset for result in results]


def test_offsets_finished_out_of_order_are_kept_beyond_the_committed_base() -> None:
    state, desk = opened()
    deliver(state, 0, 1, 3, 6)  # with gaps, as markers leave them
    desk.begin()
    desk.finish(3, 6)

    assert commit(state) == [3, 6]
    assert state.committed == Completion(0, frozenset({3, 6}))
    desk.finish(0)
    assert commit(state) == [0]
    assert state.committed.base == 1
    desk.finish(1)
    assert commit(state) == [1]
    assert (state.committed.base, state.committed.done) == (7, frozenset())  # 2, 4 and 5 are no records


def test_an_ordered_stage_takes_results_only_from_the_front() -> None:
    state, desk = opened(in_order=True)
    deliver(state, 0, 1, 2, 3)
    desk.begin()
    desk.finish(0, 2, 3)

    assert commit(state) == [0]
    assert commit(state) == []
    assert state.committed.base == 1


def test_a_transaction_holds_no_more_results_than_it_may() -> None:
    for in_order in (True, False):
        state, desk = opened(in_order=in_order, most=2)
        deliver(state, 0, 1, 2)
        desk.begin()
        desk.finish(2, 1, 0)

        assert [commit(state), commit(state), commit(state)] == [[0, 1], [2], []]


def test_offsets_finished_out_of_order_are_not_begun_again() -> None:
    state, desk = opened(at=Completion(5, frozenset({6, 8})))
    deliver(state, *range(3, 10))
    desk.begin()

    assert desk.begun == [5, 7, 9]
    desk.finish(5)
    assert commit(state) == [5]
    assert (state.committed.base, state.committed.done) == (7, frozenset({8}))


def test_work_kept_across_a_reopened_partition_loses_no_record_before_it() -> None:
    """The next owner's position may be before what is still in work: what lies between was not even delivered again."""
    state, desk = opened()
    deliver(state, 0, 1, 2, 3)
    desk.begin()
    state.opened(Completion(1))
    desk.finish(3)

    assert commit(state) == [3]
    assert (state.committed.base, state.committed.done) == (1, frozenset({3}))
    deliver(state, *range(1, 6))
    desk.begin()
    assert desk.begun == [0, 1, 2, 3, 4, 5]  # 1 and 2 went on, 0 and 3 are committed


def test_work_that_ends_after_kafka_says_it_is_committed_is_not_committed_again() -> None:
    state, desk = opened()
    deliver(state, 0, 1, 2)
    desk.begin()
    state.opened(Completion(1, frozenset({2})))
    assert [offset in state for offset in (0, 1, 2)] == [False, True, False]

    desk.finish(0, 1, 2)

    assert commit(state) == [1]
    assert state.committed.base == 3


def test_no_offset_is_begun_beyond_the_window_above_the_base() -> None:
    state, desk = opened(room=3)
    deliver(state, 0, WINDOW - 1, WINDOW)
    desk.begin()
    assert desk.begun == [0, WINDOW - 1]
    desk.finish(0)
    commit(state)
    desk.begin()
    assert desk.begun == [0, WINDOW - 1, WINDOW]


def test_large_values_pause_the_partition_until_they_are_committed_or_forgotten() -> None:
    state, desk = opened()
    value = b"x" * (MOST_LARGE_BYTES // 2)
    large = [replace(record(offset), value=value) for offset in range(3)]
    state.deliver(large[:2])
    desk.begin()
    assert not state.must_pause
    state.deliver(large[2:])
    desk.begin()
    assert state.must_pause

    desk.finish(0)
    commit(state)
    assert not state.must_pause
    state.deliver([replace(record(3), value=value)])
    assert state.must_pause
    state.opened(Completion(1))  # 1 and 2 are still in work, 3 comes again
    assert not state.must_pause
    state.deliver([replace(record(3), value=value)])
    assert state.must_pause
    state.abandon()
    assert not state.must_pause


class Consumer:
    """Notes whether its one partition rests."""

    rests = False

    def pause(self, _: object) -> None:
        self.rests = True

    def resume(self, _: object) -> None:
        self.rests = False


def test_fetching_rests_while_more_waits_than_may_be_in_work_and_until_nothing_waits() -> None:
    consumer, (state, desk) = Consumer(), opened(room=2)
    fetching, rests = Fetching(consumer, TopicPartition("topic", 0), state), []
    deliver(state, *range(5))

    for _ in range(5):
        fetching.apply_backpressure()
        rests.append((len(state), consumer.rests))
        desk.begin()
        desk.finish(*desk.pending)
        commit(state)

    assert rests == [(5, True), (3, True), (1, True), (0, False), (0, False)]
    deliver(state, 5, 6)
    fetching.apply_backpressure()
    assert not consumer.rests  # as many as may be in work


@pytest.mark.parametrize("in_order", [True, False])
def test_finished_results_are_committed_before_a_failure_is_raised(in_order: bool) -> None:
    state, desk = opened(in_order=in_order)
    deliver(state, 0, 1, 2, 3)
    desk.begin()
    desk.finish(0)
    desk.finish(1, error=ValueError("our own mistake"))
    desk.finish(2)

    assert commit(state) == ([0] if in_order else [0, 2])
    desk.finish(3)  # more that is finished must not put it off
    with pytest.raises(WorkerFailed) as failed:
        state.next_commit()
    assert isinstance(failed.value.__cause__, ValueError)


def test_a_broker_error_in_a_worker_is_raised_as_it_is_and_not_as_a_bug() -> None:
    state, desk = opened()
    deliver(state, 0)
    desk.begin()
    desk.finish(0, error=BrokerError("no answer"))

    with pytest.raises(BrokerError, match="no answer"):
        state.next_commit()


@pytest.mark.parametrize("in_order", [True, False])
@given(st.integers(0, 2**32))
def test_any_order_of_finishing_and_reopening_ends_with_every_record_done_once(in_order: bool, seed: int) -> None:
    dice = random.Random(seed)
    stored = sorted(dice.sample(range(40), dice.randint(1, 25)))
    state, desk = opened(in_order=in_order, most=dice.randint(1, 5))
    counted: list[int] = []
    position = 0
    for _ in range(2_000):
        if len(counted) == len(stored):
            break
        if dice.random() < 0.1:  # a doubt: all but the work is forgotten
            if in_order:
                state.abandon()
                desk.pending.clear()
            state.opened(state.committed)
            position = state.committed.base
        fetched = [offset for offset in stored if offset >= position][: dice.randint(0, 6)]
        deliver(state, *fetched)
        position = max([position, *(offset + 1 for offset in fetched)])
        desk.begin()
        assert state.working <= ROOM
        if desk.pending:
            desk.finish(dice.choice(sorted(desk.pending)))
        before = state.committed
        counted += commit(state)
        assert state.committed.base >= before.base
        assert all(offset < state.committed.base or offset in state.committed.done for offset in counted)
    assert sorted(counted) == stored
    assert counted == stored or not in_order


def test_offsets_without_a_record_are_skipped_and_offsets_finished_behind_them_are_kept() -> None:
    state, _ = opened(at=Completion(0, frozenset({2, 5})))

    assert state.idle_commit(3, 9) == Commit(Completion(3, frozenset({5})), Attempts())


def test_nothing_is_skipped_while_records_wait_or_before_what_was_delivered() -> None:
    state, desk = opened()
    deliver(state, 0)
    assert state.idle_commit(5, 5) is None

    desk.begin()
    desk.finish(0)
    commit(state)
    assert state.idle_commit(0, 5) is None
    assert state.idle_commit(1, 5) is None  # committed as it is


def test_an_idle_partition_forgets_deaths_only_at_its_end() -> None:
    state, _ = opened(at=Completion(4, frozenset(), 1))

    assert state.idle_commit(4, 9) is None
    assert state.idle_commit(4, 4) == Commit(Completion(4), Attempts())


def test_after_two_deaths_one_record_is_in_work_at_a_time_and_after_three_it_is_refused() -> None:
    alone, _ = opened(at=Completion(0, frozenset(), MOST_DEATHS - 1))
    deliver(alone, 0, 1)
    assert [(one.offset, refusal) for one, refusal in alone.begin()] == [(0, None)]
    assert not alone.may_begin

    hopeless, _ = opened(at=Completion(0, frozenset(), MOST_DEATHS))
    deliver(hopeless, 0, 1)
    ((first, refusal),) = hopeless.begin()
    assert refusal is not None
    assert (first.offset, refusal.reason) == (0, DeadLetterReason.CRASHED_WORKER)


def test_the_last_commit_takes_the_attempt_back_and_there_is_none_if_nothing_was_begun() -> None:
    state, desk = opened()
    assert state.last_commit() is None
    state.acknowledged(Commit(state.committed, state.attempts.begin()))
    assert state.committed.attempts == 1
    deliver(state, 0, 1)
    desk.begin()
    desk.finish(0)

    last = state.last_commit()

    assert last is not None
    assert (last.completion, offsets(last.results)) == (Completion(1), [0])


def test_a_record_whose_result_is_too_large_is_refused_when_it_comes_again() -> None:
    state, desk = opened()
    deliver(state, 10, 12)
    desk.begin()
    events = (object(),)
    state.ended(10, Result(10, events))  # type: ignore[arg-type]
    state.ended(12, Result(12, events))  # type: ignore[arg-type]
    made = state.next_commit()
    assert made is not None

    state.too_large(made, ())
    assert state.sends_singly  # it is not known which
    state.too_large(made, {1})
    assert not state.sends_singly
    state.opened(Completion(10))
    deliver(state, 10, 12)

    ((again, refusal),) = state.begin()  # 10 has its result
    assert refusal is not None
    assert (again.offset, refusal.reason) == (12, DeadLetterReason.TOO_LARGE)


def test_who_is_too_large_is_found_by_the_number_of_the_record_sent() -> None:
    events = (object(), object())
    results = [Result(10, events[:1]), Result(12), Result(15, events)]  # type: ignore[arg-type]  # sent: 0; none; 1, 2

    for numbers, guilty in (((2,), [15]), ((0, 1), [10, 15]), ((3,), [])):  # 3: the position, sent behind them
        state, desk = opened()
        deliver(state, 10, 12, 15)
        desk.begin()
        state.too_large(Commit(Completion(16), Attempts(), results), numbers)
        assert [offset for offset in (10, 12, 15) if offset not in state] == guilty


def test_pauses_grow_with_each_doubt_in_a_row_and_begin_anew_after_a_good_run_or_when_the_cause_is_found() -> None:
    state, desk = opened()
    assert [state.doubted(1.0) for _ in range(6)] == [
        min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**count) for count in range(1, 7)
    ]
    state.doubted(GOOD_RUN_S + 1)
    assert state.failures == 1

    deliver(state, 0)
    desk.begin()
    blamed = Commit(NOTHING, Attempts(), [Result(0, (object(),))])  # type: ignore[arg-type]
    for is_news in (True, False):
        state.doubted(1.0)
        state.too_large(blamed, {0})
        state.doubted(1.0)
        assert (state.failures == 1) is is_news
        state.opened(NOTHING)
        deliver(state, 0)
        desk.begin()
