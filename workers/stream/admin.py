"""Setting Kafka up for the workers: topics, first offsets, and what is there now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from aiokafka.errors import (
    IllegalGenerationError,
    InvalidReplicationFactorError,
    LeaderNotAvailableError,
    NotCoordinatorForGroupError,
    RebalanceInProgressError,
    TopicAlreadyExistsError,
    UnknownMemberIdError,
    for_code,
)

from schemas.topics import (
    CHARGED,
    COMMITMENTS,
    DEAD_LETTER_MAX_BYTES,
    DEAD_LETTER_RETENTION,
    FOR_EVER,
    GENERATED,
    QUERIES,
    SCORED,
    TOPICS,
    Topic,
)
from workers.errors import BrokerError
from workers.settings import Settings
from workers.stream.clients import Clients
from workers.stream.cluster import EARLIEST, LATEST, Cluster, Partition, TopicPlan
from workers.stream.completion import Completion
from workers.stream.reading import offsets

NEVER = -1  # Kafka's word for it
CONSUMED = (QUERIES, GENERATED, SCORED)  # the topics whose readers have dead letters


@dataclass(frozen=True)
class CreatedTopics:
    """Names of the topics that were made, and of those that were there."""

    created: tuple[str, ...]
    existing: tuple[str, ...]


@dataclass(frozen=True)
class FirstOffsets:
    """What `initialise_offsets` did for one group: partitions that got an offset, and those that had one."""

    group: str
    topic: str
    partitions_written: int
    partitions_kept: int


@dataclass(frozen=True)
class GroupLag:
    """How far a group is behind the end of its topic; None where a partition has no committed offset."""

    group: str
    lag_records: int | None


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


def planned_topics(settings: Settings) -> tuple[TopicPlan, ...]:
    """The topics of the table and the dead-letter topics of those that a worker consumes."""
    topics = [
        _plan(
            settings,
            topic.name,
            _partitions(settings, topic),
            _retention(topic.cleanup, topic.retention),
            topic.max_message_bytes,
        )
        for topic in TOPICS
    ]
    kept = _retention("delete", DEAD_LETTER_RETENTION)
    letters = [_plan(settings, topic.dead_letters, 1, kept, DEAD_LETTER_MAX_BYTES) for topic in CONSUMED]
    return (*topics, *letters)


async def create_topics(settings: Settings) -> CreatedTopics:
    """Create what is missing of `planned_topics`; repeating it changes nothing.

    BrokerError: no broker answers, Kafka refuses, or a topic exists with another number of partitions; then nothing is
    created. The number is final because it decides which partition a key belongs to.
    """
    plans = {plan.name: plan for plan in planned_topics(settings)}
    async with Clients(settings).cluster() as cluster:
        before = await cluster.insist(cluster.partitions)
        _refuse_other_counts(plans.values(), before)
        missing = [plan for name, plan in plans.items() if name not in before]
        if missing:
            await cluster.insist(lambda: _create(cluster, missing))
        after = await cluster.insist(lambda: _with_leaders(cluster, plans))
        _refuse_other_counts(plans.values(), after)
    return CreatedTopics(tuple(plan.name for plan in missing), tuple(name for name in plans if name in before))


async def initialise_offsets(settings: Settings, groups: Mapping[str, str]) -> tuple[FirstOffsets, ...]:
    """Give each group (group -> its topic) a first offset in every partition that has none, and read it back.

    The first offset is the start of the partition, 0 in a new topic. One that exists is never moved.
    BrokerError: no broker answers, the topic is missing, or the group has running workers.
    """
    async with Clients(settings).cluster() as cluster:
        topics = await cluster.insist(cluster.partitions)
        return tuple([await _initialise(cluster, group, topic, topics.get(topic)) for group, topic in groups.items()])


async def describe_topics(settings: Settings, groups: Mapping[str, str] | None = None) -> tuple[TopicState, ...]:
    """Those of `planned_topics` that exist, with the lag of each group (group -> its topic). BrokerError: no answer."""
    async with Clients(settings).cluster() as cluster:
        topics = await cluster.insist(cluster.partitions)
        names = [plan.name for plan in planned_topics(settings) if plan.name in topics]
        readers = {name: [group for group, topic in (groups or {}).items() if topic == name] for name in names}
        return tuple([await _describe(cluster, name, topics[name], readers[name]) for name in names])


def _partitions(settings: Settings, topic: Topic) -> int:
    if topic is COMMITMENTS:
        return topic.partitions  # so few that everybody may read them all, in one order
    return max(topic.partitions, settings.partitions) if topic is CHARGED else settings.partitions


def _retention(cleanup: str, retention: timedelta) -> dict[str, str]:
    """The settings that say what is deleted, and when."""
    retention_ms = NEVER if retention == FOR_EVER else retention // timedelta(milliseconds=1)
    return {"cleanup.policy": cleanup, "retention.ms": str(retention_ms)}


def _plan(settings: Settings, name: str, partitions: int, kept: Mapping[str, str], max_message_bytes: int) -> TopicPlan:
    configs = {
        **kept,
        "max.message.bytes": str(max_message_bytes),
        # What the stages write is stamped by the broker, so that nobody can backdate a bill or a commitment.
        "message.timestamp.type": "CreateTime" if name == QUERIES.name else "LogAppendTime",
        "min.insync.replicas": "2" if settings.replication_factor >= 3 else "1",
        "unclean.leader.election.enable": "false",
    }
    return TopicPlan(name, partitions, settings.replication_factor, configs)


def _refuse_other_counts(plans: Iterable[TopicPlan], found: Mapping[str, tuple[Partition, ...]]) -> None:
    there = ((plan, len(found[plan.name])) for plan in plans if plan.name in found)
    if wrong := [
        f"{plan.name} has {count}, not {plan.partitions}" for plan, count in there if count != plan.partitions
    ]:
        raise BrokerError(
            "partition counts are final, and these topics exist with others than asked for (TESSERA_PARTITIONS, "
            f"--partitions): {'; '.join(wrong)}"
        )


async def _create(cluster: Cluster, plans: Iterable[TopicPlan]) -> None:
    for topic, (code, message) in (await cluster.create(plans)).items():
        if code == InvalidReplicationFactorError.errno:
            raise BrokerError(f"{topic}: {message} (TESSERA_REPLICATION_FACTOR, --replication-factor)")
        if code not in (0, TopicAlreadyExistsError.errno):
            raise for_code(code)(f"{topic}: {message}")


async def _with_leaders(cluster: Cluster, names: Iterable[str]) -> dict[str, tuple[Partition, ...]]:
    """The topics once every broker's picture has them with a leader for each partition."""
    topics = await cluster.partitions()
    for name in names:
        if any(partition.leader == -1 for partition in topics.get(name, (Partition(0, -1, 0),))):
            raise LeaderNotAvailableError(name)
    return topics


async def _initialise(
    cluster: Cluster, group: str, topic: str, partitions: tuple[Partition, ...] | None
) -> FirstOffsets:
    if not partitions:
        raise BrokerError(f"topic {topic} does not exist; `tessera topics create` makes it")
    starts = await offsets(cluster, topic, EARLIEST)
    written: set[int] = set()
    await cluster.insist(lambda: _commit_missing(cluster, group, topic, starts, written))
    return FirstOffsets(group, topic, len(written), len(partitions) - len(written))


async def _commit_missing(
    cluster: Cluster, group: str, topic: str, starts: Mapping[int, int], written: set[int]
) -> None:
    """Commit where nothing is committed; a retriable error until all are there. Adds to `written` what it wrote."""
    missing = _without_offset(await cluster.committed(group, topic, starts))
    if not missing:
        return
    written |= missing
    try:
        await cluster.commit(group, topic, {number: Completion(starts[number]) for number in missing})
    except (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError):
        raise BrokerError(f"group {group} has running workers: stop them, then set its first offsets") from None
    if still := _without_offset(await cluster.committed(group, topic, starts)):
        raise NotCoordinatorForGroupError(f"group {group}: no offset yet in partitions {sorted(still)} of {topic}")


def _without_offset(committed: Mapping[int, int]) -> set[int]:
    return {number for number, offset in committed.items() if offset < 0}


async def _describe(
    cluster: Cluster, topic: str, partitions: tuple[Partition, ...], groups: Iterable[str]
) -> TopicState:
    starts = await offsets(cluster, topic, EARLIEST)
    ends = await offsets(cluster, topic, LATEST)
    configs = (await cluster.insist(lambda: cluster.configs([topic], ["retention.ms", "max.message.bytes"])))[topic]
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
    committed = await cluster.insist(lambda: cluster.committed(group, topic, ends))
    if _without_offset(committed):
        return GroupLag(group, None)
    return GroupLag(group, sum(max(0, ends[number] - committed[number]) for number in ends))
