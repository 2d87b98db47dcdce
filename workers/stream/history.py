"""What Kafka stores of some topics, from the first record to the last, merged in the order of their timestamps."""

import asyncio
import heapq
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from aiokafka import TopicPartition

from schemas.record import Record
from workers.errors import BrokerError
from workers.stream.connection.admin_client import EARLIEST, LATEST
from workers.stream.connection.clients import Clients
from workers.stream.reader import POLL_MS, RECORDS_PER_POLL, SILENCE_S, as_record, edges, reader

#: Whether a partition is to be read, of so many that its topic has.
Wanted: TypeAlias = Callable[[TopicPartition, int], bool]


class History:
    """Committed records of partitions up to the given ends; memory holds one fetch of each partition.

    Records of one partition keep their order; between partitions the older timestamp goes first, so that what belongs
    together arrives close together.
    """

    def __init__(self, consumer: Any, ends: Mapping[TopicPartition, int]) -> None:
        self._consumer, self._ends = consumer, ends
        self._fetched: dict[TopicPartition, deque[Any]] = {partition: deque() for partition in ends}
        self._heads: list[tuple[int, int, TopicPartition]] = []
        self._turn = 0

    async def records(self) -> AsyncIterator[Any]:
        """aiokafka's records. BrokerError when a partition falls silent before its end."""
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
        try:
            async with asyncio.timeout(SILENCE_S):
                while starving := [one for one in partitions if not self._fetched[one] and not await self._ended(one)]:
                    await self._fetch(starving)
        except TimeoutError:
            raise BrokerError(
                f"Kafka has had no committed record of {starving[0].topic} partition {starving[0].partition} for "
                f"{SILENCE_S:g} s although its end is not reached: a transaction is open there; try again when it ended"
            ) from None
        for partition in partitions:
            if self._fetched[partition]:
                self._compete(partition)

    def _compete(self, partition: TopicPartition) -> None:
        self._turn += 1
        heapq.heappush(self._heads, (self._fetched[partition][0].timestamp, self._turn, partition))

    async def _ended(self, partition: TopicPartition) -> bool:
        return bool(await self._consumer.position(partition) >= self._ends[partition])

    async def _fetch(self, partitions: Sequence[TopicPartition]) -> None:
        found = await self._consumer.getmany(*partitions, timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL)
        for partition, records in found.items():
            self._fetched[partition].extend(record for record in records if record.offset < self._ends[partition])


async def stored(
    clients: Clients, topics: Sequence[str], wanted: Wanted = lambda at, count: True
) -> AsyncGenerator[Record, None]:
    """What the topics hold when it is asked, committed records only, older timestamps first."""
    begins = await edges(clients, topics, EARLIEST)
    ends = {at: end for at, end in (await edges(clients, topics, LATEST)).items() if end > begins[at]}
    counts = Counter(at.topic for at in begins)
    ends = {at: end for at, end in ends.items() if wanted(at, counts[at.topic])}
    async with reader(clients, {at: begins[at] for at in ends}) as consumer:
        async for record in History(consumer, ends).records():
            yield as_record(record)
