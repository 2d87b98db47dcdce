"""Readers outside any consumer group, of committed records: what is stored, up to some end, or from now on.

All of them are `poll`, the one loop that asks a consumer for records, with another word of when a partition has ended.
The other loop is that of a stage (consumer.py), which has a group, rebalances and partitions that are paused.
"""

import asyncio
import heapq
import math
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.record import Flaw, Record
from workers.errors import BrokerError
from workers.stream.bus import Offsets
from workers.stream.connection.admin_client import EARLIEST, LATEST
from workers.stream.connection.clients import Clients
from workers.stream.connection.clocks import LOG_APPEND_TIME
from workers.stream.connection.edges import edges
from workers.stream.connection.started import started

POLL_MS = 200
RECORDS_PER_POLL = 500
SILENCE_S = 30.0  # the longest wait for partitions that have more
PATIENCE_S = 300.0  # so long no broker may answer a live reader
PAUSE_S = 1.0

#: Whether a partition is read no further; it is asked between two polls.
Ended: TypeAlias = Callable[[TopicPartition], Awaitable[bool]]
#: Whether a partition is to be read, of so many that its topic has.
Wanted: TypeAlias = Callable[[TopicPartition, int], bool]


class SilentPartitions(BrokerError):
    """Kafka had no committed record for some seconds of partitions that are not at their end."""

    def __init__(self, partitions: Collection[TopicPartition], silence_s: float) -> None:
        first = min(partitions)
        super().__init__(
            f"Kafka has had no committed record of {first.topic} partition {first.partition} for {silence_s:g} s "
            "although its end is not reached: a transaction is open there; try again when it ended"
        )
        self.partitions = partitions


async def poll(
    consumer: Any, partitions: Iterable[TopicPartition], ended: Ended, silence_s: float = math.inf
) -> AsyncIterator[Mapping[TopicPartition, Sequence[Any]]]:
    """What the consumer has of the partitions, poll by poll, until all of them have ended. aiokafka's records.

    A poll may give nothing. SilentPartitions: all have given nothing for `silence_s`.
    """
    left, clock = [*partitions], asyncio.get_running_loop().time
    heard_s = clock()
    while left := [at for at in left if not await ended(at)]:
        batches = await consumer.getmany(*left, timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL)
        if any(batches.values()):
            heard_s = clock()
        elif clock() - heard_s > silence_s:
            raise SilentPartitions(left, silence_s)
        yield batches


@asynccontextmanager
async def consumer_at(clients: Clients, positions: Offsets, *, uncommitted: bool = False) -> AsyncIterator[Any]:
    """A consumer outside any group at these positions: of committed records, or of aborted and open ones as well."""
    consumer = clients.consumer(uncommitted=uncommitted)
    async with started(consumer, clients):
        consumer.assign([TopicPartition(*at) for at in positions])
        for at, offset in positions.items():
            consumer.seek(TopicPartition(*at), offset)
        yield consumer


async def stored(
    clients: Clients,
    topics: Sequence[str],
    wanted: Wanted = lambda at, count: True,
    since: Offsets | None = None,
    until: Offsets | None = None,
) -> AsyncGenerator[Record, None]:
    """What the topics hold when it is asked, or of that what lies from `since` on and before `until`; older timestamps
    first.
    """
    begins = {
        at: max(begin, (since or {}).get(at, 0)) for at, begin in (await edges(clients, topics, EARLIEST)).items()
    }
    counts = Counter(at.topic for at in begins)
    latest = (await edges(clients, topics, LATEST)).items()
    ends = {at: min(end, (until or {}).get(at, end)) for at, end in latest if wanted(at, counts[at.topic])}
    async with aclosing(between(clients, begins, ends)) as records:
        async for record in records:
            yield as_record(record)


async def between(
    clients: Clients, begins: Offsets, ends: Mapping[TopicPartition, int], *, uncommitted: bool = False
) -> AsyncGenerator[Any, None]:
    """aiokafka's records of partitions from their begins up to their ends, older timestamps first.

    BrokerError (SilentPartitions): a partition has nothing more for SILENCE_S, and its end is not reached.
    """
    ends = {at: end for at, end in ends.items() if end > begins[at]}
    if not ends:
        return
    async with consumer_at(clients, {at: begins[at] for at in ends}, uncommitted=uncommitted) as consumer:
        async for record in _Merge(consumer, ends).records():
            yield record


class _Merge:
    """Records of partitions up to the given ends; memory holds one fetch of each partition.

    Records of one partition keep their order; between partitions the older timestamp goes first, so that what belongs
    together arrives close together.
    """

    def __init__(self, consumer: Any, ends: Mapping[TopicPartition, int]) -> None:
        self._consumer, self._ends = consumer, ends
        self._fetched: dict[TopicPartition, deque[Any]] = {partition: deque() for partition in ends}
        self._heads: list[tuple[int, int, TopicPartition]] = []
        self._turn = 0

    async def records(self) -> AsyncIterator[Any]:
        await self._refill(list(self._ends))
        while self._heads:
            _, _, partition = heapq.heappop(self._heads)
            yield self._fetched[partition].popleft()
            if self._fetched[partition]:
                self._compete(partition)
            else:
                await self._refill([partition])

    async def _refill(self, partitions: Sequence[TopicPartition]) -> None:
        """Fetch until each of them has a record or is at its end, then let them compete for the next turn."""
        async for batches in poll(self._consumer, partitions, self._is_served, SILENCE_S):
            for partition, records in batches.items():
                self._fetched[partition].extend(one for one in records if one.offset < self._ends[partition])
        for partition in partitions:
            if self._fetched[partition]:
                self._compete(partition)

    async def _is_served(self, at: TopicPartition) -> bool:
        return bool(self._fetched[at]) or bool(await self._consumer.position(at) >= self._ends[at])

    def _compete(self, partition: TopicPartition) -> None:
        self._turn += 1
        heapq.heappush(self._heads, (self._fetched[partition][0].timestamp, self._turn, partition))


async def live(clients: Clients, topics: Sequence[str], stop: asyncio.Event) -> AsyncGenerator[list[Record], None]:
    """What is committed from now on, each record once, in order per partition, some at a time; the first list is empty
    and says that reading has begun. Ends when `stop` is set.

    A consumer that fails is opened again where it stood. BrokerError: nothing answers at first, or for PATIENCE_S.
    """
    positions, clock = await edges(clients, topics, LATEST), asyncio.get_running_loop().time
    answered_s = clock()

    async def is_over(at: TopicPartition) -> bool:
        return stop.is_set()

    has_begun = False
    while not stop.is_set():
        try:
            async with consumer_at(clients, positions) as consumer:
                if not has_begun:
                    has_begun = True
                    yield []
                async for batches in poll(consumer, positions, is_over):
                    answered_s = clock()
                    for at, records in batches.items():
                        positions[at] = records[-1].offset + 1
                        yield [as_record(record) for record in records]
        except (KafkaError, BrokerError, OSError) as error:
            _lose_patience(clock() - answered_s, error)
            await asyncio.sleep(PAUSE_S)


def _lose_patience(silence_s: float, error: Exception) -> None:
    if silence_s > PATIENCE_S:
        raise BrokerError(f"no broker has answered for {silence_s:.0f} s; the last error: {error}") from error


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
        flaw=record.checksum if isinstance(record.checksum, Flaw) else None,  # see wire/batches.py
    )
