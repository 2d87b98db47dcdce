"""Consumers outside any group: where topics begin and end, and a reader of committed records at given positions."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.record import Flaw, Record
from workers.errors import AccessDenied, BrokerError, TesseraError
from workers.stream.connection.access_errors import READ, REMEDY, WRITE, denied, last_words
from workers.stream.connection.admin_client import Cluster
from workers.stream.connection.clients import Clients
from workers.stream.connection.clocks import LOG_APPEND_TIME
from workers.stream.connection.security import ANONYMOUS

POLL_MS = 200
RECORDS_PER_POLL = 500
SILENCE_S = 30.0  # the longest wait for a partition that has more
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
#: timestamp_type of a record, and of an answer to one, that the broker stamps; 0, CreateTime, where its producer does.


@asynccontextmanager
async def reader(
    clients: Clients, positions: Mapping[TopicPartition, int], *, uncommitted: bool = False
) -> AsyncIterator[Any]:
    """A consumer outside any group at these positions: of committed records, or of aborted and open ones as well."""
    consumer = clients.consumer(uncommitted=uncommitted)
    async with started(consumer, clients):
        consumer.assign(list(positions))
        for partition, offset in positions.items():
            consumer.seek(partition, offset)
        yield consumer


@asynccontextmanager
async def started(client: Any, clients: Clients) -> AsyncIterator[None]:
    """The client, started and in the end stopped, each within a limit.

    BrokerError: no broker answers. AccessDenied: one answers and refuses this user, now or while the client is used.
    """
    verb = WRITE if isinstance(client, AIOKafkaProducer) else READ
    with last_words() as words:
        try:
            await asyncio.wait_for(client.start(), START_TIMEOUT_S)
        except (KafkaError, OSError, TimeoutError) as error:
            await _stop(client)
            raise denied(error, clients.user, verb) or clients.unreachable(words.said or str(error)) from error
        except BaseException:  # cancelled meanwhile
            await _stop(client)
            raise
    try:
        yield
    except (KafkaError, BrokerError) as error:
        if missing := denied(error, clients.user, verb):
            raise missing from error
        raise
    finally:
        await _stop(client)


async def _stop(client: Any) -> None:
    """Without a broker aiokafka ends its own tasks and passes their cancellation on: it must not hide what failed."""
    try:
        await asyncio.wait_for(client.stop(), STOP_TIMEOUT_S)
    except (TimeoutError, KafkaError, OSError):
        return
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is None or task.cancelling():
            raise  # we were told to end


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


def as_record(record: Any) -> Record:
    """aiokafka's record as ours. A place of a topic that was begun anew gets another stamp from the broker."""
    by_broker = record.timestamp_type == LOG_APPEND_TIME
    return Record(
        topic=record.topic,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        stamped_by_broker=by_broker,
        incarnation=str(record.timestamp) if by_broker else "",
        flaw=record.checksum if isinstance(record.checksum, Flaw) else None,  # see batches.py
    )
