"""Is this Kafka as the workers need it? One function for each check; all of them only read."""

from collections.abc import Iterable

from workers.doctor import kafka_brokers, kafka_clocks, kafka_deduplication, kafka_topics, kafka_transactions
from workers.doctor.kafka_cluster import Check, Inspected
from workers.doctor.verdict import Verdict
from workers.settings import Settings
from workers.stream.admin.plans import planned_topics
from workers.stream.admin.timestamps import OLDEST
from workers.stream.connection.clients import Clients

GROUP = "kafka"
CONFIGS = [*kafka_topics.PLANNED, kafka_topics.SIZE, kafka_topics.KEPT, kafka_topics.INSYNC, OLDEST]

CHECKS: dict[str, Check] = {
    "brokers": kafka_brokers.brokers,
    "version": kafka_brokers.version,
    "broker settings": kafka_brokers.broker_settings,
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
        return tuple([Verdict(GROUP, name, *await CHECKS[name](inspected)) for name in names])
