"""The topics as the brokers have them, and how far each consumer group is behind."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workers.settings import Settings
from workers.stream.admin.first_offsets import without_offset
from workers.stream.admin.plans import planned_topics
from workers.stream.admin.standing import members_of, offsets_of
from workers.stream.connection.admin_client import EARLIEST, LATEST, Cluster, Partition
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import offsets


@dataclass(frozen=True)
class GroupLag:
    """How far a group is behind the end of its topic; None where nobody knows in some partition."""

    group: str
    lag_records: int | None
    members: int  # workers that run; with none, the lag grows


@dataclass(frozen=True)
class TopicState:
    """A topic as the brokers have it. `records` are offsets between start and end: transaction markers count too."""

    topic: str
    partitions: int
    replication: int
    retention_ms: int
    max_message_bytes: int
    records: int
    groups: tuple[GroupLag, ...]


async def describe_topics(settings: Settings, groups: Mapping[str, str] | None = None) -> tuple[TopicState, ...]:
    """Those of `planned_topics` that exist, with the lag of each group (group -> its topic). BrokerError: no answer."""
    async with Clients(settings).cluster() as cluster:
        topics = await cluster.retry(cluster.partitions)
        names = [plan.name for plan in planned_topics(settings) if plan.name in topics]
        readers = {name: [group for group, topic in (groups or {}).items() if topic == name] for name in names}
        return tuple([await _describe(cluster, name, topics[name], readers[name]) for name in names])


async def _describe(
    cluster: Cluster, topic: str, partitions: tuple[Partition, ...], groups: Iterable[str]
) -> TopicState:
    starts = await offsets(cluster, topic, EARLIEST)
    ends = await offsets(cluster, topic, LATEST)
    configs = (await cluster.retry(lambda: cluster.configs([topic], ["retention.ms", "max.message.bytes"])))[topic]
    return TopicState(
        topic=topic,
        partitions=len(partitions),
        replication=partitions[0].replicas,
        retention_ms=int(configs["retention.ms"]),
        max_message_bytes=int(configs["max.message.bytes"]),
        records=sum(ends.values()) - sum(starts.values()),
        groups=tuple([await _lag(cluster, group, topic, ends) for group in groups]),
    )


async def _lag(cluster: Cluster, group: str, topic: str, ends: Mapping[int, int]) -> GroupLag:
    stand = await offsets_of(cluster, group, topic, ends)
    members = await cluster.retry(lambda: members_of(cluster, group))
    lag = None if without_offset(stand) else sum(max(0, ends[number] - stand[number]) for number in ends)
    return GroupLag(group, lag, members)
