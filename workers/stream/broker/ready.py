"""Whether a broker that answers can be used: its port opens before its coordinators have read their logs."""

from collections.abc import Mapping
from typing import Any

from workers.stream.cluster import Cluster, connected

COORDINATOR_PARTITIONS = 4  # of the group and of the transaction log, as server.properties sets them
TOPIC = "ready.probe"  # does not exist: a group has no offset in it, which is an answer


async def coordinators_ready(connection: Mapping[str, Any], within_s: float) -> None:
    """Return when every group and transaction coordinator answers; BrokerError after `within_s`.

    Which partition of the log an id belongs to follows from its hash: ids that differ only in the last digit, 0 to 3,
    are in four different ones.
    """
    async with connected(connection, within_s) as cluster:
        for number in range(COORDINATOR_PARTITIONS):
            await _coordinators_answer(cluster, f"ready.{number}")


async def _coordinators_answer(cluster: Cluster, name: str) -> None:
    await cluster.insist(lambda: cluster.committed(name, TOPIC, [0]))
    await cluster.insist(lambda: cluster.open_transactional_id(name))
