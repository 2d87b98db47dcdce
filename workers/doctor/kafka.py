"""Is this Kafka as the workers need it? One function for each check; all of them only read."""

from collections.abc import Iterable, Mapping

from workers.doctor import kafka_brokers, kafka_clocks, kafka_deduplication, kafka_topics, kafka_transactions
from workers.doctor.kafka_cluster import Check, Inspected
from workers.doctor.verdict import State, Verdict
from workers.settings import Settings
from workers.stream.admin.plans import planned_topics
from workers.stream.admin.timestamps import OLDEST
from workers.stream.connection.clients import Clients

GROUP = "kafka"
CONFIGS = [*kafka_topics.PLANNED, kafka_topics.SIZE, kafka_topics.KEPT, kafka_topics.INSYNC, OLDEST]

COORDINATORS = "coordinators"
CHECKS: dict[str, Check] = {
    "brokers": kafka_brokers.brokers,
    "version": kafka_brokers.version,
    "broker settings": kafka_brokers.broker_settings,
    COORDINATORS: kafka_brokers.coordinators,
    "topics": kafka_topics.topics,
    "copies": kafka_topics.copies,
    "leaders": kafka_topics.leaders,
    "topic settings": kafka_topics.topic_settings,
    "stamps": kafka_clocks.stamps,
    "message size": kafka_topics.message_size,
    "retention": kafka_topics.retention,
    "id window": kafka_deduplication.id_window,
    "first offsets": kafka_topics.offsets,
    "offset retention": kafka_brokers.forgetting,
    "remembered ids": kafka_deduplication.remembered_ids,
    "transactions": kafka_transactions.transactions,
    "clock": kafka_clocks.clock,
    "workers' clocks": kafka_clocks.worker_clocks,
}


#: What asks a group's coordinator: one that has failed never answers.
OF_COORDINATORS = ("first offsets", "remembered ids")
NOT_ASKED = State.UNKNOWN, "not asked: a group's coordinator has failed", ""
#: What keeps records from being written or read: `tessera topics describe` tells of it too.
OF_TOPICS = ("stamps", "message size", "transactions")


async def inspect_kafka(settings: Settings, names: Iterable[str] = tuple(CHECKS)) -> tuple[Verdict, ...]:
    """These checks of the table. BrokerError: nobody answers, or not in time."""
    plans = {plan.name: plan for plan in planned_topics(settings)}
    async with Clients(settings).cluster() as cluster:
        brokers = await cluster.retry(cluster.brokers)
        topics = await cluster.retry(cluster.partitions)
        present = [name for name in plans if name in topics]
        configs = await cluster.retry(lambda: cluster.configs(present, CONFIGS)) if present else {}
        inspected = Inspected(settings, cluster, plans, brokers, topics, configs)
        return await _verdicts(inspected, names)


async def _verdicts(inspected: Inspected, names: Iterable[str]) -> tuple[Verdict, ...]:
    found: dict[str, Verdict] = {}
    for name in names:
        findings = NOT_ASKED if name in OF_COORDINATORS and _have_failed(found) else await CHECKS[name](inspected)
        found[name] = Verdict(GROUP, name, *findings)
    return tuple(found.values())


def _have_failed(found: Mapping[str, Verdict]) -> bool:
    return COORDINATORS in found and found[COORDINATORS].state is State.FAILED
