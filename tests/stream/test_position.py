"""How a partition's position is asked for: each question right behind a write, twice, and never again without one."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CoordinatorLoadInProgressError, KafkaError, NotCoordinatorForGroupError

from workers.errors import OffsetLost, StalePosition
from workers.stream.connection.admin_client import Partition
from workers.stream.connection.offset_fetch import UnstableOffsetCommitError
from workers.stream.offsets import NOTHING_KNOWN, Completion
from workers.stream.partition.position import read_position

AT = TopicPartition("test.position", 3)
OLD, NEW, NONE = (63, ""), (298, ""), (-1, "")


class Coordinator:
    """Takes the place of clients and cluster: gives the answers in turn, and notes what it is asked."""

    def __init__(self, *answers: tuple[int, str] | KafkaError) -> None:
        self._answers = iter(answers)
        self.asked: list[str] = []

    async def barrier(self) -> None:
        self.asked.append("write")

    async def read(self, known: Completion = NOTHING_KNOWN) -> Completion:
        return await read_position(self, "group", AT, known, self.barrier)  # type: ignore[arg-type]

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

    async def insist(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
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
