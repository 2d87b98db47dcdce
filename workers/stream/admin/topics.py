"""Creating the topics, and refusing those that exist with another number of partitions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from aiokafka.errors import (
    InvalidReplicationFactorError,
    LeaderNotAvailableError,
    TopicAlreadyExistsError,
    for_code,
)
from aiokafka.protocol.admin import CreatePartitionsRequest

from schemas.topics import MAY_GROW, SCORED, SETTLED_QUERIES
from workers.errors import BrokerError
from workers.pipeline import POSITIONS
from workers.settings import Settings
from workers.stream.admin.plans import planned_topics
from workers.stream.connection.admin_client import WORK_TIMEOUT_S, Cluster, Partition, TopicPlan
from workers.stream.connection.clients import Clients


@dataclass(frozen=True)
class CreatedTopics:
    """Names of the topics that were made, and of those that were there."""

    created: tuple[str, ...]
    existing: tuple[str, ...]


async def create_topics(settings: Settings) -> CreatedTopics:
    """Create what is missing of `planned_topics`; repeating it changes nothing.

    BrokerError: no broker answers, Kafka refuses, or a topic exists with another number of partitions; then nothing is
    created. The number is final because it decides which partition a key belongs to; topics whose readers remember
    nothing may have more. Those of positions get as many partitions as their stages' input has.
    """
    async with Clients(settings).cluster() as cluster:
        before = await cluster.retry(cluster.partitions)
        plans = {plan.name: _with_room(plan, before) for plan in planned_topics(settings)}
        _refuse_other_counts(plans.values(), before)
        missing = [plan for name, plan in plans.items() if name not in before]
        if missing:
            await cluster.retry(lambda: _create(cluster, missing))
        for name in POSITIONS.keys() & before.keys():
            if len(before[name]) < plans[name].partitions:
                await cluster.retry(partial(_grow, cluster, name, plans[name].partitions))
        after = await cluster.retry(lambda: _with_leaders(cluster, plans))
        _refuse_other_counts(plans.values(), after)
    return CreatedTopics(tuple(plan.name for plan in missing), tuple(name for name in plans if name in before))


def _with_room(plan: TopicPlan, found: Mapping[str, tuple[Partition, ...]]) -> TopicPlan:
    """A topic of positions has a partition for each that its stage's input has by now."""
    return replace(plan, partitions=max(plan.partitions, len(found.get(POSITIONS.get(plan.name, ""), ()))))


async def _grow(cluster: Cluster, name: str, partitions: int) -> None:
    """Add partitions to a topic of positions: nothing in it has its place from its key."""
    request = CreatePartitionsRequest([(name, (partitions, None))], int(WORK_TIMEOUT_S * 1000), validate_only=False)
    ((_, code, message),) = (await cluster.ask_controller(request)).topic_errors
    if code:
        raise for_code(code)(f"{name}: {message}")


def _refuse_other_counts(plans: Iterable[TopicPlan], found: Mapping[str, tuple[Partition, ...]]) -> None:
    there = [(plan, len(found[plan.name])) for plan in plans if plan.name in found]
    if wrong := [f"{plan.name} has {count}, not {plan.partitions}" for plan, count in there if not fits(plan, count)]:
        raise BrokerError(
            "partition counts are final, and these topics exist with others than asked for (TESSERA_PARTITIONS, "
            f"--partitions): {'; '.join(wrong)}. {_remedy({plan.name: count for plan, count in there})}"
        )


def fits(plan: TopicPlan, count: int) -> bool:
    """Whether a topic with `count` partitions is as planned, or has grown where that is harmless."""
    return count == plan.partitions or plan.name in POSITIONS or (plan.name in MAY_GROW and count > plan.partitions)


def _remedy(counts: Mapping[str, int]) -> str:
    """SCORED says how many were asked for at first: it cannot have grown by itself without its memory's notice."""
    if (first := counts.get(SCORED.name)) is not None and first == counts.get(SETTLED_QUERIES.name, first):
        ask = f"Ask for theirs: --partitions {first}"
    else:
        ask = f"{SCORED.name} and {SETTLED_QUERIES.name} must have the same number"
    return (
        f"{ask}. Where partitions were added, Kafka cannot take them away: a topic other than "
        f"{' and '.join(sorted(MAY_GROW))} must be created anew with its first number, and filled from a copy, while "
        "the stages are stopped"
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
