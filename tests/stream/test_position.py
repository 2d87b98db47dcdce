"""Where a partition goes on, by its log and its coordinator; how the latter is asked where nothing is logged."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CoordinatorLoadInProgressError, KafkaError, NotCoordinatorForGroupError

from workers.errors import OffsetLost, StalePosition
from workers.stream.connection.admin_client import Partition
from workers.stream.connection.offset_fetch import UnstableOffsetCommitError
from workers.stream.connection.topic_ids import TopicIdRequest
from workers.stream.offsets import NOTHING_KNOWN, Completion
from workers.stream.partition.position import Found, read_position
from workers.stream.partition.position_log import Position

AT = TopicPartition("test.position", 3)
ID, BELOW = "1f" * 16, 77
OLD, NEW, NONE = (63, ""), (298, ""), (-1, "")


class Coordinator:
    """Takes the place of clients and cluster: gives the answers in turn, and notes what it is asked."""

    def __init__(self, *answers: tuple[int, str] | KafkaError, logged: Position | None = None) -> None:
        self._answers, self._logged = iter(answers), logged
        self.asked: list[str] = []

    async def barrier(self) -> int:
        self.asked.append("write")
        return BELOW

    async def read(self, known: Completion | None = None) -> Completion:
        return (await self.found(None if known is None else Position(ID, known))).position.completion

    async def found(self, known: Position | None = None) -> Found:
        log = SimpleNamespace(at=AT, read=self._read_log)
        return await read_position(self, "group", log, known, self.barrier)  # type: ignore[arg-type]

    async def _read_log(self, cluster: object, below: int, topic_id: str) -> Position | None:
        assert (below, topic_id, self.asked[0]) == (BELOW, ID, "write")
        return self._logged

    async def ask(self, request: TopicIdRequest) -> SimpleNamespace:
        return SimpleNamespace(topics=[(0, request.topic, bytes.fromhex(ID))])

    @asynccontextmanager
    async def cluster(self) -> AsyncIterator["Coordinator"]:
        yield self

    async def committed_with_metadata(self, *_: Any, stable: bool) -> Mapping[int, tuple[int, str]]:
        assert stable
        self.asked.append("read")
        answer = next(self._answers)
        if isinstance(answer, KafkaError):
            raise answer
        return {AT.partition: answer}

    async def retry(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        return await attempt()

    async def partitions(self) -> Mapping[str, tuple[Partition, ...]]:
        return {AT.topic: (Partition(AT.partition, 0, 1),)}

    async def offsets(self, *_: Any) -> Mapping[int, int]:
        return {AT.partition: 0}


async def test_the_committed_position_is_read_right_behind_a_write() -> None:
    coordinator = Coordinator(NEW, NEW)

    assert await coordinator.read() == Completion(298)
    assert coordinator.asked == ["write", "read"] * 2


@pytest.mark.parametrize("answers", [(OLD, NEW), (NONE, NEW), (NEW, OLD)])
async def test_two_different_committed_positions_are_a_stale_position(answers: tuple[tuple[int, str], ...]) -> None:
    """The coordinator came up between the first write and its question: in a process that was frozen there, say."""
    with pytest.raises(StalePosition, match=f"offset {answers[0][0]} is committed, and then {answers[1][0]}"):
        await Coordinator(*answers).read()


@pytest.mark.parametrize("error", [NotCoordinatorForGroupError(), CoordinatorLoadInProgressError()])
async def test_a_failed_read_of_the_position_is_repeated_with_its_write(error: KafkaError) -> None:
    coordinator = Coordinator(error, NEW, NEW)

    with pytest.raises(type(error)):
        await coordinator.read()

    assert coordinator.asked == ["write", "read"]


async def test_pending_transactional_offsets_are_waited_for() -> None:
    coordinator = Coordinator(UnstableOffsetCommitError(), NEW, UnstableOffsetCommitError(), NEW)

    assert await coordinator.read() == Completion(298)
    assert coordinator.asked == ["write", "read", "read"] * 2


async def test_a_missing_offset_is_stale_where_this_process_committed_one() -> None:
    with pytest.raises(StalePosition):
        await Coordinator(NONE, NONE).read(known=Completion(1))
    with pytest.raises(OffsetLost):
        await Coordinator(NONE, NONE).read()


def test_a_later_completion_covers_an_earlier_one_and_never_the_reverse() -> None:
    known = Completion(10, frozenset({12, 14}), attempts=2)

    for later in (known, Completion(10, frozenset({12, 13, 14})), Completion(13, frozenset({14})), Completion(15)):
        assert later.covers(known)
    for earlier in (Completion(9, known.done), Completion(10, frozenset({12})), Completion(13), NOTHING_KNOWN):
        assert not earlier.covers(known)


LOGGED = Position(ID, Completion(298, frozenset({300}), attempts=1))


@pytest.mark.parametrize("answer", [OLD, NONE])
async def test_the_log_counts_where_the_coordinator_says_less(answer: tuple[int, str]) -> None:
    coordinator = Coordinator(answer, logged=LOGGED)

    assert await coordinator.found() == Found(LOGGED, is_written=False, is_stale=True)
    assert coordinator.asked == ["write", "read"]


@pytest.mark.parametrize(
    ("told", "known", "joined"),
    [
        (LOGGED.completion, None, LOGGED.completion),
        (Completion(299), None, Completion(299, frozenset({300}), attempts=0)),
        (Completion(300, attempts=2), None, Completion(301)),
        (Completion(298, frozenset({300, 302}), attempts=2), None, Completion(298, frozenset({300, 302}), attempts=2)),
        (Completion(298, frozenset({302}), attempts=2), None, Completion(298, frozenset({300, 302}), attempts=1)),
        (Completion(400), None, Completion(400)),
        (Completion(63), Completion(310, frozenset({311})), Completion(310, frozenset({311}))),
    ],
)
async def test_a_position_is_all_that_the_log_the_coordinator_and_the_process_say_is_finished(
    told: Completion, known: Completion | None, joined: Completion
) -> None:
    assert await Coordinator((told.base, told.metadata()), logged=LOGGED).read(known) == joined


@pytest.mark.parametrize("told", [Completion(250), Completion(298, frozenset({299}))])
async def test_positions_logged_before_a_reset_do_not_count(told: Completion) -> None:
    back = Position(ID, Completion(100), set_back_from=298)

    assert (await Coordinator((told.base, told.metadata()), logged=back).found(LOGGED)).position == back
    assert await Coordinator((299, ""), logged=back).read() == Completion(299)


async def test_positions_committed_in_a_recreated_topic_do_not_count() -> None:
    position = (await Coordinator(OLD, OLD).found(Position("2e" * 16, Completion(298)))).position

    assert position == Position(ID, Completion(63))
