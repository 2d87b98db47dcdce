"""The oldest committed records of every partition of a topic: enough to see what kind of records lie there."""

from typing import Any

from aiokafka import TopicPartition

from workers.stream.connection.admin_client import EARLIEST, LATEST
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import edges
from workers.stream.reader import SILENCE_S, consumer_at, poll
from workers.stream.wire.partitioner import Placement


async def oldest(clients: Clients, topic: str) -> dict[TopicPartition, list[Any]]:
    """Of each partition the first RECORDS_PER_POLL records, or fewer; aiokafka's. BrokerError: Kafka falls silent."""
    begins, ends = [await edges(clients, [topic], edge) for edge in (EARLIEST, LATEST)]
    found: dict[TopicPartition, list[Any]] = {at: [] for at in begins}
    waiting = {at: begins[at] for at in begins if begins[at] < ends[at]}
    if waiting:
        async with consumer_at(clients, waiting) as consumer:

            async def is_told(at: TopicPartition) -> bool:
                return bool(found[at]) or await _is_at_its_end(consumer, at)

            async for batches in poll(consumer, waiting, is_told, SILENCE_S):
                found |= batches
    return found


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
