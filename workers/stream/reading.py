"""Consumers outside any group: where topics begin and end, and a reader of committed records at given positions."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.record import Record
from workers.errors import BrokerError
from workers.settings import Settings
from workers.stream.cluster import Cluster, Partition, connected

POLL_MS = 200
RECORDS_PER_POLL = 500
SILENCE_S = 30.0  # the longest wait for a partition that has more
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


@asynccontextmanager
async def reader(
    settings: Settings, positions: Mapping[TopicPartition, int], *, uncommitted: bool = False
) -> AsyncIterator[Any]:
    """A consumer outside any group at these positions: of committed records, or of aborted and open ones as well."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_uncommitted" if uncommitted else "read_committed",
    )
    async with started(consumer, settings):
        consumer.assign(list(positions))
        for partition, offset in positions.items():
            consumer.seek(partition, offset)
        yield consumer


@asynccontextmanager
async def started(client: Any, settings: Settings) -> AsyncIterator[None]:
    """The client, started and in the end stopped, each within a limit; BrokerError where no broker answers."""
    try:
        await asyncio.wait_for(client.start(), START_TIMEOUT_S)
    except (KafkaError, OSError, TimeoutError) as error:
        await _stop(client)
        raise BrokerError(
            f"no Kafka broker answers at {settings.bootstrap_servers} (TESSERA_BOOTSTRAP_SERVERS): {error}. "
            "`tessera broker start` starts one on this machine"
        ) from error
    try:
        yield
    finally:
        await _stop(client)


async def _stop(client: Any) -> None:
    with contextlib.suppress(TimeoutError, KafkaError, OSError):
        await asyncio.wait_for(client.stop(), STOP_TIMEOUT_S)


async def edges(settings: Settings, topics: Sequence[str], edge: int) -> dict[TopicPartition, int]:
    """The EARLIEST offset of every partition, or that behind its LATEST record; BrokerError for a missing topic."""
    async with connected(settings.bootstrap_servers) as cluster:
        known = await cluster.insist(cluster.partitions)
        if missing := set(topics) - set(known):
            raise BrokerError(f"Kafka has no topic {min(missing)}: run `tessera topics create`")
        found = {topic: await _edge(cluster, topic, known[topic], edge) for topic in topics}
    return {TopicPartition(topic, number): at for topic, offsets in found.items() for number, at in offsets.items()}


async def _edge(cluster: Cluster, topic: str, partitions: Sequence[Partition], edge: int) -> dict[int, int]:
    return await cluster.insist(lambda: cluster.offsets(topic, partitions, edge))


def as_record(record: Any) -> Record:
    return Record(
        record.topic, record.key, record.value, tuple(record.headers), record.partition, record.offset, record.timestamp
    )
