"""A query's events on Kafka: which partitions are read for them, and what an unreadable record among them does."""

from collections.abc import AsyncIterator, Sequence

import pytest

from schemas.record import Outgoing, Record
from schemas.topics import CHARGED, COMMITMENTS, SCORED, SETTLED
from tests.support.builders import make_scored, settle
from workers.cli.query_log import read_kafka
from workers.errors import ReceiptError
from workers.operations.monitor import Monitor
from workers.receipts.build import auditor_receipt
from workers.receipts.recheck import recheck
from workers.stream.memory import MemoryBus


class PartitionedBus(MemoryBus):
    """A memory bus that gives a key's records like Kafka with a partition for each key; it notes what it was asked."""

    def __init__(self) -> None:
        super().__init__(Monitor(stages=(), currency="USD", engine="none"))
        self.asked: list[tuple[str, bytes | None]] = []

    async def stored(self, topics: Sequence[str], key: bytes | None = None) -> AsyncIterator[Record]:
        self.asked += [(topic, key) for topic in topics]
        async for record in super().stored(topics, key):
            if key is None or record.key == key:
                yield record


async def test_bills_are_read_only_where_the_bidders_have_theirs() -> None:
    # Given two queries, of whose bidders only the first's took part in both
    bus, scored = PartitionedBus(), [make_scored(1), make_scored(2, advertisers=5)]
    await bus.publish([event.to_record() for one in scored for event in (one, *settle(one))])
    # When the first is read
    log = await read_kafka(bus, "query-1", "Kafka")
    # Then its bills are there, and of the billing topic only its two bidders' partitions were read
    assert len(log.sale(()).bills) == 2
    keys = [key for topic, key in bus.asked if topic == CHARGED.name]
    assert keys == [b"advertiser-00", b"advertiser-01"]


async def published(*spoiled: Outgoing) -> PartitionedBus:
    """Query 1, sold; then the spoiled records."""
    bus, scored = PartitionedBus(), make_scored(1)
    await bus.publish([*(event.to_record() for event in (scored, *settle(scored))), *spoiled])
    return bus


async def test_an_unreadable_record_of_others_is_passed_over_and_counted() -> None:
    # Given a bill of another query whose id begins like ours, and a commitment, both unreadable
    bill = Outgoing(CHARGED.name, b"advertiser-00", b'{"query_id":"query-10"')
    bus = await published(bill, Outgoing(COMMITMENTS.name, b"2026-11-23", b"{}"))
    # When our query is read
    log = await read_kafka(bus, "query-1", "Kafka")
    # Then it has its receipt, and the log says how many it left out and where the first is
    assert recheck(auditor_receipt(log.sale(()))) == []
    assert log.unreadable == 2
    assert log.first_unreadable.startswith(f"Kafka, {COMMITMENTS.name} partition 0 offset 0: ")


@pytest.mark.parametrize(
    ("topic", "key"), [(CHARGED.name, b"advertiser-00"), (SETTLED.name, b"query-1"), (SCORED.name, b"query-1")]
)
async def test_an_unreadable_record_of_the_query_is_named_by_its_place(topic: str, key: bytes) -> None:
    bus = await published(Outgoing(topic, key, b'{"query_id":"query-1"'))
    offset = 2 if topic == CHARGED.name else 1

    with pytest.raises(ReceiptError, match=rf"Kafka, {topic} partition 0 offset {offset}: BAD_JSON: ") as error:
        await read_kafka(bus, "query-1", "Kafka")

    assert "\n" not in str(error.value)
