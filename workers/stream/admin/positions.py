"""What a look at Kafka from outside needs besides the records: positions, what is unread, and what was aborted."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from workers.audit.log.campaign_faults import Unread
from workers.errors import BrokerError
from workers.settings import Settings
from workers.stream.admin.standing import offsets_of
from workers.stream.connection.admin_client import EARLIEST, LATEST
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import edges
from workers.stream.reader import SILENCE_S, SilentPartitions, between, consumer_at, poll

#: Offsets by topic and partition.
Positions: TypeAlias = dict[tuple[str, int], int]

POLL_S = 0.5


@contextmanager
def named(settings: Settings) -> Iterator[None]:
    """BrokerError for what Kafka refuses, such as a topic that may not be read."""
    try:
        yield
    except KafkaError as error:
        raise BrokerError(f"Kafka at {settings.bootstrap_servers} refuses to be read: {error!r}") from error


async def begins(settings: Settings, topics: Sequence[str]) -> Positions:
    """The first offset of every partition."""
    return {
        (at.topic, at.partition): offset for at, offset in (await edges(Clients(settings), topics, EARLIEST)).items()
    }


async def ends(settings: Settings, topics: Sequence[str]) -> Positions:
    """The offset behind the last record of every partition."""
    return {(at.topic, at.partition): offset for at, offset in (await edges(Clients(settings), topics, LATEST)).items()}


async def committed(settings: Settings, groups: Mapping[str, str]) -> Positions:
    """Where the groups (group -> its topic) stand; 0 where nobody knows."""
    found: Positions = {}
    async with Clients(settings).cluster() as cluster:
        topics = await cluster.retry(cluster.partitions)
        for group, topic in groups.items():
            numbers = [partition.number for partition in topics.get(topic, ())]
            stand = await offsets_of(cluster, group, topic, numbers)
            found |= {(topic, number): max(0, at) for number, at in stand.items()}
    return found


async def unread(settings: Settings, groups: Mapping[str, str], within_s: float) -> list[Unread]:
    """What the groups have not read; asked again until that is nothing, or `within_s` is over."""
    deadline = time.monotonic() + within_s
    while (found := await _unread(settings, groups)) and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
    return found


async def _unread(settings: Settings, groups: Mapping[str, str]) -> list[Unread]:
    offsets = await committed(settings, groups)
    last = await edges(Clients(settings), sorted(set(groups.values())), LATEST)
    first = await edges(Clients(settings), sorted(set(groups.values())), EARLIEST)
    readers = {topic: group for group, topic in groups.items()}
    behind = {at: max(offsets[at.topic, at.partition], first[at]) for at in last}
    behind = {at: offset for at, offset in behind.items() if offset < last[at]}
    waiting = await _with_records(settings, behind, last) if behind else []
    return [Unread(readers[at.topic], at.topic, at.partition, behind[at]) for at in waiting]


async def _with_records(
    settings: Settings, positions: Mapping[TopicPartition, int], last: Mapping[TopicPartition, int]
) -> list[TopicPartition]:
    """The partitions that hold a committed record from its position on, or a transaction that does not end."""
    found: set[TopicPartition] = set()
    async with consumer_at(Clients(settings), positions) as consumer:

        async def is_known(at: TopicPartition) -> bool:
            return at in found or bool(await consumer.position(at) >= last[at])

        try:
            async for batches in poll(consumer, positions, is_known, SILENCE_S):
                found |= batches.keys()
        except SilentPartitions as silence:
            found |= {*silence.partitions}
    return sorted(found)


async def count_uncommitted(settings: Settings, first: Positions, last: Positions) -> Counter[str]:
    """Records by topic between these positions as a reader sees them who does not care whether they are committed."""
    ends = {TopicPartition(*at): offset for at, offset in last.items()}
    counts: Counter[str] = Counter({topic: 0 for topic, _ in last})
    async for record in between(Clients(settings), first, ends, uncommitted=True):
        counts[record.topic] += 1
    return counts
