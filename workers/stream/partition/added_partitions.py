"""Partitions that were added to a topic after its group began: where a stage begins then."""

from collections.abc import Mapping
from functools import partial

from aiokafka import TopicPartition

from schemas.topics import MAY_GROW
from workers.errors import OffsetLost
from workers.stream.connection.clients import Clients
from workers.stream.offsets import Completion


async def first_position(clients: Clients, group: str, at: TopicPartition, begin: int) -> Completion:
    """Where the group goes on in a partition in which it has committed nothing; `begin`: the first stored offset.

    At offset 0, if nothing of it is lost and work that was done would not be billed twice: the topic may grow, the
    group has committed in a lower partition, and this one still has its first record. OffsetLost otherwise.
    """
    if at.topic in MAY_GROW and begin == 0 and await _was_added(clients, group, at):
        return Completion(0)
    raise OffsetLost(
        f"group {group}, {at.topic} partition {at.partition}: no offset is committed. A new group has none, and Kafka "
        "forgets those of a group that nobody was in for offsets.retention.minutes. `tessera topics create` sets them "
        "where nothing can have been worked on, and elsewhere says what it sees and asks for --begin; a query that is "
        "settled is not billed again whatever is chosen"
    )


async def _was_added(clients: Clients, group: str, at: TopicPartition) -> bool:
    async with clients.cluster() as cluster:
        numbers = [partition.number for partition in (await cluster.retry(cluster.partitions))[at.topic]]
        committed = await cluster.retry(partial(cluster.committed, group, at.topic, numbers))
    return is_added(at.partition, committed)


def is_added(number: int, committed: Mapping[int, int]) -> bool:
    """Whether the group, with these offsets (-1: none), began before the partition was there."""
    return committed[number] < 0 and any(offset >= 0 for lower, offset in committed.items() if lower < number)
