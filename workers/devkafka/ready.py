"""Whether a broker that answers can be used: its port opens before its coordinators have read their logs."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiokafka.errors import LeaderNotAvailableError

from workers.errors import BrokerError
from workers.stream.connection.admin_client import Cluster, connected

COORDINATOR_PARTITIONS = 4  # of the group and of the transaction log, as server.properties sets them
TOPIC = "ready.probe"  # does not exist: a group has no offset in it, which is an answer
PROBE_TIMEOUT_S = 5.0  # of one look; then whether the process is still there


def is_ready(connection: Mapping[str, Any], brokers: int = 1) -> bool:
    """One look, in a thread of its own: the caller may be inside an event loop."""
    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(asyncio.run, coordinators_ready(connection, PROBE_TIMEOUT_S, brokers)).result()
        except BrokerError:
            return False
    return True


async def coordinators_ready(connection: Mapping[str, Any], within_s: float, brokers: int = 1) -> None:
    """Return when so many brokers are there and every coordinator answers; BrokerError after `within_s`.

    Which partition of the log an id belongs to follows from its hash: ids that differ only in the last digit, 0 to 3,
    are in four different ones.
    """
    async with connected(connection, within_s) as cluster:
        await cluster.retry(lambda: _enough(cluster, brokers))
        for number in range(COORDINATOR_PARTITIONS):
            await _coordinators_answer(cluster, f"ready.{number}")


async def _enough(cluster: Cluster, brokers: int) -> None:
    """Without all of them there is no topic with a copy on each."""
    found = len(await cluster.brokers())
    if found < brokers:
        raise LeaderNotAvailableError(f"{found} of {brokers} brokers are there")


async def _coordinators_answer(cluster: Cluster, name: str) -> None:
    await cluster.retry(lambda: cluster.committed(name, TOPIC, [0]))
    await cluster.retry(lambda: cluster.open_transactional_id(name))
