"""How many copies records have, on a cluster that could keep more."""

from workers.errors import BrokerError
from workers.settings import Settings
from workers.stream.admin.plans import planned_topics
from workers.stream.connection.clients import Clients

SAFE_COPIES = 3
REMEDY = (
    "Set TESSERA_REPLICATION_FACTOR=3 before topics are made (`tessera topics create --replication-factor 3`); to "
    "those that exist, add copies with Kafka's kafka-reassign-partitions.sh, and then set min.insync.replicas=2"
)
MORE_COPIES = (
    "This command makes no copies of what is there: add them with Kafka's kafka-reassign-partitions.sh, and then set "
    "min.insync.replicas=2"
)


def are_too_few(copies: int, brokers: int) -> bool:
    """Whether the cluster has more brokers than copies of a record, and fewer copies than survive the loss of one."""
    return copies < min(SAFE_COPIES, brokers)


def danger(copies: int, brokers: int) -> str:
    """What `are_too_few` copies mean."""
    return (
        f"{copies} cop{'y' if copies == 1 else 'ies'} of each record on a cluster of {brokers} brokers: when one of "
        "them is gone, so are its partitions, or their last acknowledged records"
    )


async def copies_warning(settings: Settings) -> str | None:
    """What is to be said of the topics as they are, if anything.

    BrokerError: no answer, or fewer copies than the settings ask for. Those are made by moving data, which is an
    administrator's decision: nothing of ours does it.
    """
    async with Clients(settings).cluster() as cluster:
        brokers = len(await cluster.retry(cluster.brokers))
        topics = await cluster.retry(cluster.partitions)
    names = [plan.name for plan in planned_topics(settings) if plan.name in topics]
    copies = {name: min(one.replicas for one in topics[name]) for name in names}
    if short := [f"{name} has {count}" for name, count in copies.items() if count < settings.replication_factor]:
        raise BrokerError(
            f"{settings.replication_factor} copies are asked for (TESSERA_REPLICATION_FACTOR, --replication-factor), "
            f"and these topics exist with fewer, as they were made: {'; '.join(short)}. {MORE_COPIES}"
        )
    fewest = min(copies.values(), default=SAFE_COPIES)
    return f"{danger(fewest, brokers)}. {REMEDY}" if are_too_few(fewest, brokers) else None
