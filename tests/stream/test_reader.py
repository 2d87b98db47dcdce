"""The one loop that polls a consumer outside any group: when it ends, and whom it names when there is silence."""

import ast
import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from workers.stream.reader import SilentPartitions, poll

ROOT = Path(__file__).parent.parent.parent
A, B = TopicPartition("t", 0), TopicPartition("t", 1)
SILENCE_S = 0.05


class Scripted:
    """A consumer that gives one batch a poll, and then nothing."""

    def __init__(self, *batches: Mapping[TopicPartition, Sequence[str]]) -> None:
        self.batches, self.asked = list(batches), list[set[TopicPartition]]()

    async def getmany(self, *partitions: TopicPartition, **_: Any) -> Mapping[TopicPartition, Sequence[str]]:
        self.asked.append(set(partitions))
        await asyncio.sleep(0.01)
        return self.batches.pop(0) if self.batches else {}


class Reading:
    """What was read of whom; a partition has ended once it has given so many."""

    def __init__(self, **wanted: int) -> None:
        self.read: dict[TopicPartition, list[str]] = {A: [], B: []}
        self._wanted = {A: wanted["a"], B: wanted["b"]}

    async def ended(self, at: TopicPartition) -> bool:
        return len(self.read[at]) >= self._wanted[at]

    async def run(self, consumer: Scripted, silence_s: float = SILENCE_S) -> None:
        async for batches in poll(consumer, (A, B), self.ended, silence_s):
            for at, records in batches.items():
                self.read[at] += records


async def test_partitions_that_have_ended_are_asked_for_no_more_and_the_loop_ends_with_the_last() -> None:
    consumer, reading = Scripted({A: ["1"]}, {B: ["2"], A: ["3"]}, {B: ["4"]}, {B: ["never"]}), Reading(a=2, b=2)
    await reading.run(consumer)

    assert reading.read == {A: ["1", "3"], B: ["2", "4"]}
    assert consumer.asked == [{A, B}, {A, B}, {B}]


async def test_nothing_is_asked_where_all_have_ended_before() -> None:
    consumer = Scripted({A: ["1"]})
    await Reading(a=0, b=0).run(consumer)
    assert not consumer.asked


async def test_a_silence_ends_the_loop_and_names_who_is_not_at_its_end() -> None:
    consumer, reading = Scripted({A: ["1"]}), Reading(a=1, b=1)
    with pytest.raises(SilentPartitions, match=r"t partition 1 .*transaction is open") as silence:
        await reading.run(consumer)

    assert list(silence.value.partitions) == [B]
    assert reading.read[A] == ["1"]


async def test_records_break_a_silence() -> None:
    consumer, reading = Scripted(*({A: [str(number)]} for number in range(20))), Reading(a=20, b=0)
    await reading.run(consumer, silence_s=0.1)  # all of it takes longer
    assert len(reading.read[A]) == 20


def test_a_consumer_is_polled_in_two_places() -> None:
    """The stage's, which has a group, and the one of everybody else."""
    polling = [
        path.relative_to(ROOT).as_posix()
        for folder in ("workers", "infra")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("getmany", "getone")
    ]
    assert polling == ["workers/stream/consumer.py", "workers/stream/reader.py"]
