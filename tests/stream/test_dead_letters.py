"""Dead letters through a bus: filtered as asked, and written again with an exact account when Kafka refuses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from schemas.dead_letter import dead_letter
from schemas.reasons import DeadLetterReason as Reason
from schemas.record import Outgoing, Record
from schemas.topics import DEAD_LETTERS, GENERATED, QUERIES, Topic
from workers.errors import BrokerError
from workers.operations.monitor import Monitor
from workers.stream.dead_letters import RECORDS_PER_PUBLISH, read_letters, republish
from workers.stream.memory import MemoryBus


@dataclass
class FullBus(MemoryBus):
    """A bus that takes some batches and then no more."""

    batches: int
    taken: list[Outgoing] = field(default_factory=list)

    async def publish(self, records: Sequence[Outgoing]) -> None:
        if self.batches == 0:
            raise MessageSizeTooLargeError("too large")
        self.batches -= 1
        self.taken += records


def letter(topic: Topic, reason: Reason) -> Outgoing:
    return dead_letter(Record(topic.name, b"q", b"{}"), "a stage", reason, "why not")


async def test_only_the_requested_dead_letters_are_read() -> None:
    bus = MemoryBus(Monitor(stages=(), currency="USD", engine="none"))
    await bus.publish(
        [letter(QUERIES, Reason.EXPIRED), letter(QUERIES, Reason.BAD_KEY), letter(GENERATED, Reason.EXPIRED)]
    )
    all_of_them = [one async for one in read_letters(bus, DEAD_LETTERS)]
    stamped = all_of_them[0].record.time

    assert len(all_of_them) == 3
    assert [one.reason async for one in read_letters(bus, [GENERATED.dead_letters])] == ["EXPIRED"]
    assert [one.reason async for one in read_letters(bus, [QUERIES.dead_letters], "BAD_KEY")] == ["BAD_KEY"]
    assert len([one async for one in read_letters(bus, DEAD_LETTERS, since=stamped)]) == 3
    assert [one async for one in read_letters(bus, DEAD_LETTERS, since=datetime(2999, 1, 1, tzinfo=UTC))] == []


async def test_redriven_records_are_written_in_order() -> None:
    records = [Outgoing(QUERIES.name, str(number).encode(), b"{}") for number in range(RECORDS_PER_PUBLISH + 1)]
    bus = FullBus(batches=2)

    await republish(bus, records)

    assert bus.taken == records


async def test_a_refused_write_states_how_many_records_are_written() -> None:
    records = [Outgoing(QUERIES.name, b"q", b"{}")] * (2 * RECORDS_PER_PUBLISH + 1)
    bus = FullBus(batches=1)

    with pytest.raises(BrokerError, match=r"too large.*: 100 of 201 records are published, the next 100 may be"):
        await republish(bus, records)

    assert len(bus.taken) == RECORDS_PER_PUBLISH
