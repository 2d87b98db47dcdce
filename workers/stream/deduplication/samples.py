"""The oldest committed records of every partition of a topic: enough to see what kind of records lie there."""

import time
from typing import Any

from aiokafka import TopicPartition

from workers.errors import BrokerError
from workers.stream.connection.admin_client import EARLIEST, LATEST
from workers.stream.connection.clients import Clients
from workers.stream.reader import POLL_MS, RECORDS_PER_POLL, SILENCE_S, edges, reader
from workers.stream.wire.partitioner import Placement


async def oldest(clients: Clients, topic: str) -> dict[TopicPartition, list[Any]]:
    """Of each partition the first RECORDS_PER_POLL records, or fewer; aiokafka's. BrokerError: Kafka falls silent."""
    begins, ends = [await edges(clients, [topic], edge) for edge in (EARLIEST, LATEST)]
    found: dict[TopicPartition, list[Any]] = {at: [] for at in begins}
    waiting = {at: begins[at] for at in begins if begins[at] < ends[at]}
    if waiting:
        async with reader(clients, waiting) as consumer:
            await _fill(consumer, found, waiting)
    return found


async def _fill(consumer: Any, found: dict[Any, list[Any]], waiting: dict[Any, int]) -> None:
    deadline = time.monotonic() + SILENCE_S
    while waiting:
        found |= await consumer.getmany(*waiting, timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL)
        for at in [at for at in waiting if found[at] or await _is_at_its_end(consumer, at)]:
            del waiting[at]
        if waiting and time.monotonic() > deadline:
            at = min(waiting)
            raise BrokerError(
                f"Kafka has had no committed record of {at.topic} partition {at.partition} for {SILENCE_S:g} s"
            )


async def _is_at_its_end(consumer: Any, at: TopicPartition) -> bool:
    """Whether nothing is committed behind its position; what is in an open transaction is not waited for."""
    stable_end = consumer.last_stable_offset(at)  # None before the first answer
    return stable_end is not None and bool(await consumer.position(at) >= stable_end)


async def check_placement(clients: Clients, topic: str) -> int:
    """Misplaced: among the oldest ids remembered in any partition is one of another. How many records were looked at.

    The oldest tell: partitions that are added move the ids of later records only. The owner of a new partition would
    see nothing in its own, and whoever starts looks at all of them.
    """
    found = await oldest(clients, topic)
    placement = Placement(topic, len(found))
    for at, records in found.items():
        for record in records:
            placement.check(record.key, at.partition, record.offset)
    return sum(map(len, found.values()))
