"""The changelog of one partition read in bulk: whole batches, unpacked without the bookkeeping of a consumer.

A consumer makes an object with eleven fields of each record, most of its time. Fetched and unpacked like this, a record
costs a third (decision 0014). What is aborted and what is a marker is told by aiokafka's own code.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import KafkaError, LeaderNotAvailableError, for_code
from aiokafka.protocol.fetch import FetchRequest

from schemas.record import Flaw
from schemas.topics import SETTLED_QUERIES
from workers.errors import BrokerError
from workers.stream.connection.admin_client import Cluster
from workers.stream.connection.edges import offset
from workers.stream.reader import SILENCE_S
from workers.stream.wire.batches import FetchedBatches

T = TypeVar("T")

FETCH_BYTES = 4 * 1024**2
FETCH_WAIT_MS = 500
POLICY, KEPT, MOST_BYTES = "cleanup.policy", "retention.ms", "retention.bytes"
ABORTED_IN_V11 = 2  # behind the last stable offset and the log's start; before the preferred replica and the batches


DAMAGED = """\
{place.topic} partition {place.partition}: {what}. The partition waits, and what is known on the local disk is kept. If
it was damaged on its way, another attempt reads it. If the same offsets come again, the copy of the broker that leads
the partition is damaged. Another replica may have it whole: let that one lead the partition. Delete neither these
records nor the topic, and do not copy the others into a new one: whatever {queries} has lost would be billed again when
it comes again. If no replica has it whole, write the topic back from a copy ("A memory that is gone" in
infra/partitions.md)"""


class Entry(NamedTuple):
    """A committed record. Its headers are let go at once: kept for a whole answer, they cost more than all else."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class _Entries(PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    """The committed records of one answer. BrokerError: one of its batches is damaged."""

    def _consumer_record(self, place: TopicPartition, record: Any) -> Entry:
        if isinstance(record.checksum, Flaw) and record.checksum.is_damage:
            raise BrokerError(DAMAGED.format(place=place, what=record.checksum.message, queries=SETTLED_QUERIES.name))
        return Entry(record.offset, record.timestamp, record.key, record.value)


class Changelog:
    """A partition of the topic that a stage remembers in."""

    def __init__(self, cluster: Cluster, place: TopicPartition) -> None:
        self._cluster, self._place, self._leader = cluster, place, -1

    async def edge(self, edge: int) -> int:
        """As `Cluster.offsets`: where it begins or ends, or the first record of a time.

        BrokerError: nobody has led the partition for SILENCE_S.
        """
        return await self._told(partial(offset, self._cluster, self._place, edge))

    async def kept_ms(self) -> int | None:
        """How old a record is, at the least, when Kafka deletes it. None: size or somebody's hand may have done it
        before. TopicAuthorizationFailedError: this user may not see the topic's settings.
        """
        topic, names = self._place.topic, [POLICY, KEPT, MOST_BYTES]
        found = (await self._told(lambda: self._cluster.configs([topic], names)))[topic]
        kept_ms = int(found[KEPT])
        is_by_age = "delete" in found[POLICY].split(",") and int(found[MOST_BYTES]) < 0 <= kept_ms
        return kept_ms if is_by_age else None

    async def _told(self, attempt: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(SILENCE_S):
                return await self._cluster.retry(attempt)
        except TimeoutError:
            raise BrokerError(
                f"Kafka has not told of {self._place.topic} partition {self._place.partition} for {SILENCE_S:g} s: "
                f"{self._cluster.trouble}"
            ) from None

    async def records(self, begin: int, end: int) -> AsyncIterator[Sequence[Entry]]:
        """The committed records from `begin` to `end`, an answer at a time; the next is fetched meanwhile.

        BrokerError: Kafka has nothing for SILENCE_S although the end is not reached, or a batch is damaged.
        """
        position, answer = begin, self._ask_from(begin)
        try:
            while position < end:
                found = await answer
                records, position = list(found), found.next_fetch_offset
                if position < end:
                    answer = self._ask_from(position)
                    await asyncio.sleep(0)  # the request goes out before the records are worked on
                yield [record for record in records if record.offset < end]
        finally:
            answer.cancel()

    def _ask_from(self, position: int) -> "asyncio.Task[Any]":
        return asyncio.create_task(self._fetched(position))

    async def _fetched(self, position: int) -> Any:
        """What is stored from `position` on; it reaches further than that."""
        try:
            async with asyncio.timeout(SILENCE_S):
                while not (answer := await self._cluster.retry(lambda: self._fetch(position))):
                    pass
        except TimeoutError:
            raise BrokerError(
                f"Kafka has had no committed record of {self._place.topic} partition {self._place.partition} for "
                f"{SILENCE_S:g} s although its end is not reached: somebody else has a transaction open there"
            ) from None
        return answer

    async def _fetch(self, position: int) -> Any:
        """One answer; None where it holds nothing."""
        topic, number = self._place
        try:
            rows = [(topic, [(number, position, FETCH_BYTES)])]
            request = FetchRequest(FETCH_WAIT_MS, 1, FETCH_BYTES, READ_COMMITTED, rows)
            answer = await self._cluster.ask(request, await self._known_leader())
            ((_, ((_, code, _, *row),)),) = answer.topics
            if code:
                raise for_code(code)(f"{topic}, partition {number}")
        except KafkaError:
            self._leader = -1
            raise
        found, aborted = FetchedBatches(row[-1]), row[ABORTED_IN_V11 if answer.API_VERSION >= 11 else -2]
        if not found.has_next():
            return None
        return _Entries(self._place, found, aborted, position, None, None, True, READ_COMMITTED)

    async def _known_leader(self) -> int:
        if self._leader == -1:
            partitions = (await self._cluster.partitions()).get(self._place.topic, ())
            self._leader = next((one.leader for one in partitions if one.number == self._place.partition), -1)
        if self._leader == -1:
            raise LeaderNotAvailableError(f"{self._place}")
        return self._leader
