"""The records between fetch and commit, against a model: nothing is lost, repeated or overtaken, whatever the order."""

import asyncio
import random
from dataclasses import dataclass, field, replace

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from schemas.record import Record
from workers.errors import BrokerError
from workers.stream.offsets import WINDOW, Completion
from workers.stream.partition.fetcher import MOST_LARGE_BYTES, Fetching
from workers.stream.partition.in_flight import LARGE_BYTES, Backlog, WorkerFailed
from workers.stream.processing import Result

ROOM = 4
NOTHING = Completion(0)


def record(offset: int) -> Record:
    return Record("topic", b"k", b"v", (), 0, offset)


@dataclass
class Desk:
    """Begins work that ends when it is told to."""

    futures: dict[int, "asyncio.Future[Result]"] = field(default_factory=dict)
    begun: list[int] = field(default_factory=list)

    def begin(self, record: Record) -> "asyncio.Task[Result]":
        self.begun.append(record.offset)
        future = self.futures[record.offset] = asyncio.get_running_loop().create_future()

        async def work() -> Result:
            return await future

        return asyncio.create_task(work())

    async def finish(self, *offsets: int, error: Exception | None = None) -> None:
        for offset in offsets:
            if error is None:
                self.futures[offset].set_result(Result(offset))
            else:
                self.futures[offset].set_exception(error)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def backlog(*, in_order: bool = False, at: Completion = NOTHING, room: int = ROOM) -> tuple[Backlog, Desk]:
    desk = Desk()
    made = Backlog(desk.begin, room=room, in_order=in_order)
    made.open_at(at)
    return made, desk


def offsets(results: list[Result]) -> list[int]:
    return [result.offset for result in results]


async def test_offsets_finished_out_of_order_are_kept_beyond_the_committed_base() -> None:
    one, desk = backlog()
    one.deliver([record(offset) for offset in (0, 1, 3, 6)])  # with gaps, as markers leave them
    one.begin()
    await desk.finish(3, 6)

    results = one.finished(10)
    completion = one.after(results)
    one.commit(results, completion)

    assert (offsets(results), completion) == ([3, 6], Completion(0, frozenset({3, 6})))
    await desk.finish(0)
    assert one.after(one.finished(10)) == Completion(1, frozenset({3, 6}))
    await desk.finish(1)
    assert one.after(one.finished(10)) == Completion(7)  # 2, 4 and 5 are no records


async def test_an_ordered_stage_takes_results_only_from_the_front() -> None:
    one, desk = backlog(in_order=True)
    one.deliver([record(offset) for offset in range(4)])
    one.begin()
    await desk.finish(0, 2, 3)

    assert offsets(one.finished(10)) == [0]
    assert one.after(one.finished(10)) == Completion(1)


async def test_offsets_finished_out_of_order_are_not_begun_again() -> None:
    one, desk = backlog(at=Completion(5, frozenset({6, 8})))
    one.deliver([record(offset) for offset in range(3, 10)])
    one.begin()

    assert desk.begun == [5, 7, 9]
    await desk.finish(5)
    assert one.after(one.finished(10)) == Completion(7, frozenset({8}))
    await one.abandon()


async def test_work_kept_across_a_reopened_partition_loses_no_record_before_it() -> None:
    """The next owner's position may be before what is still in work: what lies between was not even delivered again."""
    one, desk = backlog()
    one.deliver([record(offset) for offset in range(4)])
    one.begin()
    one.open_at(Completion(1))
    await desk.finish(3)

    assert one.after(one.finished(10)) == Completion(1, frozenset({3}))
    one.deliver([record(offset) for offset in range(1, 6)])
    one.begin()
    assert desk.begun == [0, 1, 2, 3, 4]  # 1, 2 and 3 went on, 0 is covered
    await one.abandon()


async def test_no_offset_is_begun_beyond_the_window_above_the_base() -> None:
    one, desk = backlog(room=3)
    one.deliver([record(0), record(WINDOW - 1), record(WINDOW)])
    one.begin()
    assert desk.begun == [0, WINDOW - 1]
    await desk.finish(0)
    results = one.finished(10)
    one.commit(results, one.after(results))
    one.begin()
    assert desk.begun == [0, WINDOW - 1, WINDOW]
    await one.abandon()


async def test_bytes_of_large_values_count_until_they_are_committed_or_forgotten() -> None:
    made, desk = backlog()
    large = [replace(record(offset), value=b"x" * LARGE_BYTES) for offset in range(3)]
    made.deliver([*large, record(3)])
    made.begin()
    assert made.large_bytes == 3 * LARGE_BYTES

    await desk.finish(0, 1)
    results = made.finished(1)
    made.commit(results, made.after(results))
    assert made.large_bytes == 2 * LARGE_BYTES
    made.forget(1)
    assert made.large_bytes == LARGE_BYTES
    made.open_at(Completion(1))  # 2 and 3 are still in work, 1 comes again
    assert made.large_bytes == LARGE_BYTES
    made.deliver([large[1]])
    assert (made.large_bytes, made.waiting) == (2 * LARGE_BYTES, 1)
    await made.abandon()
    assert made.large_bytes == 0


class Consumer:
    """Notes whether its one partition rests."""

    rests = False

    def pause(self, _: object) -> None:
        self.rests = True

    def resume(self, _: object) -> None:
        self.rests = False


def test_a_partition_is_paused_while_large_values_fill_its_share_of_memory() -> None:
    consumer = Consumer()
    fetching = Fetching(consumer, TopicPartition("topic", 0))
    rests = []
    for waiting, large_bytes in ((1, 0), (1, MOST_LARGE_BYTES), (0, MOST_LARGE_BYTES + 1), (1, 0), (0, 0), (9, 0)):
        fetching.hold_back(waiting, 8, large_bytes)
        rests.append(consumer.rests)
    assert rests == [False, False, True, True, False, True]


@pytest.mark.parametrize("in_order", [True, False])
async def test_finished_results_are_committed_before_a_failure_is_raised(in_order: bool) -> None:
    one, desk = backlog(in_order=in_order)
    one.deliver([record(offset) for offset in range(4)])
    one.begin()
    await desk.finish(0)
    await desk.finish(1, error=ValueError("our own mistake"))
    await desk.finish(2)

    results = one.finished(10)
    assert offsets(results) == ([0] if in_order else [0, 2])
    one.commit(results, one.after(results))
    await desk.finish(3)  # more that is finished must not put it off
    with pytest.raises(WorkerFailed) as failed:
        one.finished(10)
    assert isinstance(failed.value.__cause__, ValueError)
    await one.abandon()


async def test_a_broker_error_in_a_worker_is_raised_as_it_is_and_not_as_a_bug() -> None:
    one, desk = backlog()
    one.deliver([record(0)])
    one.begin()
    await desk.finish(0, error=BrokerError("no answer"))

    with pytest.raises(BrokerError, match="no answer"):
        one.finished(10)
    await one.abandon()


@pytest.mark.parametrize("in_order", [True, False])
@given(st.integers(0, 2**32))
def test_any_order_of_finishing_and_reopening_ends_with_every_record_done_once(in_order: bool, seed: int) -> None:
    asyncio.run(_play(random.Random(seed), in_order))


async def _play(dice: random.Random, in_order: bool) -> None:
    stored = sorted(dice.sample(range(40), dice.randint(1, 25)))
    one, desk = backlog(in_order=in_order)
    committed, counted, position = Completion(0), [], 0
    for _ in range(2_000):
        if len(counted) == len(stored):
            break
        if dice.random() < 0.1:  # a doubt: all but the work is forgotten
            if in_order:
                await one.abandon()
            one.open_at(committed)
            position = committed.base
        fetched = [offset for offset in stored if offset >= position][: dice.randint(0, 6)]
        one.deliver([record(offset) for offset in fetched])
        position = max([position, *(offset + 1 for offset in fetched)])
        one.begin()
        assert one.working <= ROOM
        pending = [offset for offset, future in desk.futures.items() if not future.done()]
        if pending:
            await desk.finish(dice.choice(pending))
        results = one.finished(dice.randint(1, 5))
        after = one.after(results)
        one.commit(results, after)
        counted += offsets(results)
        assert after.base >= committed.base
        assert all(offset < after.base or offset in after.done for offset in counted)
        committed = after
    assert sorted(counted) == stored
    assert counted == stored or not in_order
    await one.abandon()


async def test_offsets_without_a_record_are_skipped_and_offsets_finished_behind_them_are_kept() -> None:
    one, _ = backlog(at=Completion(0, frozenset({2, 5})))

    assert one.skip_to(3) == Completion(3, frozenset({5}))
    assert one.next_offset == 3
