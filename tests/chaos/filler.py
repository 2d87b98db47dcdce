"""Makes the logs of committed offsets long: a broker that comes up reads them, and may answer before it has done so."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.commit import OffsetCommitRequest

from schemas.topics import QUERIES
from workers.stream.connection.admin_client import GROUP, SIMPLE_COMMIT
from workers.stream.connection.coordinators import offsets_partition

LOGS = 4  # partitions of __consumer_offsets, as the development brokers have them
REQUESTS, ROWS = 30, 5_000  # for each log
PAUSE_S = 0.1


def groups_beside(groups: Iterable[str]) -> Iterator[str]:
    """For each log that has one of the groups, the name of another group in it."""
    names = [f"filler-{number}" for number in range(100)]
    for log in {offsets_partition(group, LOGS) for group in groups}:
        yield next(name for name in names if offsets_partition(name, LOGS) == log)


async def fill(servers: str, groups: Iterable[str]) -> None:
    """Many commits of others behind what these groups have committed by now. KafkaError: nobody answers."""
    client = AIOKafkaClient(bootstrap_servers=servers)
    await client.bootstrap()
    try:
        for name in groups_beside(groups):
            for _ in range(REQUESTS):
                await _commit(client, name)
    finally:
        await client.close()


async def _commit(client: AIOKafkaClient, group: str) -> None:
    rows = [(QUERIES.name, [(0, 0, "")] * ROWS)]
    for _ in range(100):
        with suppress(KafkaError):
            node = await client.coordinator_lookup(GROUP, group)
            answer = await client.send(node, OffsetCommitRequest(group, *SIMPLE_COMMIT, rows))
            if not any(code for _, code in answer.topics[0][1]):
                return
        await asyncio.sleep(PAUSE_S)
    raise KafkaError(f"the offsets of {group} cannot be committed")
