"""Is this Kafka as the workers need it? One function for each check; all of them only read."""

from collections.abc import Iterable

from workers.diagnosis import Verdict
from workers.settings import Settings
from workers.stream.clients import Clients
from workers.stream.inspection import (
    broker_checks,
    clock_checks,
    forgetting_checks,
    memory_checks,
    stamp_checks,
    topic_checks,
    transaction_checks,
    window_checks,
)
from workers.stream.inspection.inspected import Check, Inspected
from workers.stream.plans import planned_topics
from workers.stream.stamps import OLDEST

GROUP = "kafka"
CONFIGS = [*topic_checks.PLANNED, topic_checks.SIZE, topic_checks.KEPT, topic_checks.INSYNC, OLDEST]

CHECKS: dict[str, Check] = {
    "brokers": broker_checks.brokers,
    "version": broker_checks.version,
    "broker settings": broker_checks.broker_settings,
    "topics": topic_checks.topics,
    "copies": topic_checks.copies,
    "leaders": topic_checks.leaders,
    "topic settings": topic_checks.topic_settings,
    "stamps": stamp_checks.stamps,
    "message size": topic_checks.message_size,
    "retention": topic_checks.retention,
    "id window": window_checks.id_window,
    "first offsets": topic_checks.offsets,
    "offset retention": forgetting_checks.forgetting,
    "remembered ids": memory_checks.remembered_ids,
    "transactions": transaction_checks.transactions,
    "clock": clock_checks.clock,
    "workers' clocks": clock_checks.worker_clocks,
}


#: What keeps records from being written or read: `tessera topics describe` tells of it too.
OF_TOPICS = ("stamps", "message size", "transactions")


async def inspect_kafka(settings: Settings, names: Iterable[str] = tuple(CHECKS)) -> tuple[Verdict, ...]:
    """These checks of the table. BrokerError: nobody answers, or not in time."""
    plans = {plan.name: plan for plan in planned_topics(settings)}
    async with Clients(settings).cluster() as cluster:
        brokers = await cluster.insist(cluster.brokers)
        topics = await cluster.insist(cluster.partitions)
        present = [name for name in plans if name in topics]
        configs = await cluster.insist(lambda: cluster.configs(present, CONFIGS)) if present else {}
        inspected = Inspected(settings, cluster, plans, brokers, topics, configs)
        return tuple([Verdict(GROUP, name, *await CHECKS[name](inspected)) for name in names])
