"""Where partitions begin and end."""

from collections.abc import Sequence

from aiokafka import TopicPartition

from workers.errors import AccessDenied, BrokerError, TesseraError
from workers.stream.connection.access_errors import REMEDY
from workers.stream.connection.admin_client import Cluster
from workers.stream.connection.clients import Clients
from workers.stream.connection.security import ANONYMOUS


async def edges(
    clients: Clients, topics: Sequence[str], edge: int, *, stable: bool = False
) -> dict[TopicPartition, int]:
    """The EARLIEST offset of every partition, or that behind its LATEST record; see `Cluster.offsets`.

    BrokerError: a topic is missing; AccessDenied where it may also be that this user may not see it.
    """
    async with clients.cluster() as cluster:
        if missing := set(topics) - set(await cluster.retry(cluster.partitions)):
            raise _not_seen(min(missing), clients)
        found = {topic: await offsets(cluster, topic, edge, stable=stable) for topic in topics}
    return {TopicPartition(topic, number): at for topic, offsets in found.items() for number, at in offsets.items()}


def _not_seen(topic: str, clients: Clients) -> TesseraError:
    """Kafka does not tell a topic that is not there from one that may not be seen."""
    if clients.user == ANONYMOUS:
        return BrokerError(f"Kafka has no topic {topic}: run `tessera topics create`")
    either = f"Kafka has no topic {topic} (run `tessera topics create`), or does not let {clients.user} read it"
    return AccessDenied(f"{either}; {REMEDY}")


async def offsets(cluster: Cluster, topic: str, edge: int, *, stable: bool = False) -> dict[int, int]:
    """The EARLIEST or LATEST offset of each partition, its leader looked up anew in every attempt."""

    async def attempt() -> dict[int, int]:
        return await cluster.offsets(topic, (await cluster.partitions())[topic], edge, stable=stable)

    return await cluster.retry(attempt)


async def offset(cluster: Cluster, at: TopicPartition, edge: int) -> int:
    """As `Cluster.offsets`, of one partition; the leader is looked up anew. One attempt, for `retry`."""
    partitions = [one for one in (await cluster.partitions())[at.topic] if one.number == at.partition]
    return (await cluster.offsets(at.topic, partitions, edge))[at.partition]
