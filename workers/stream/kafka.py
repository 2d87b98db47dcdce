"""The bus on Kafka: consumer groups, one actor per input partition, exactly-once by transactions."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import Any, TypeGuard

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.record import Outgoing, Record
from schemas.topics import DEAD_LETTER_MAX_BYTES
from workers.errors import BrokerError, NotRetriable, Stalled
from workers.settings import Settings
from workers.stage import Stage
from workers.stream.bus import Observer, Offsets
from workers.stream.connection.access_errors import WRITE, denied
from workers.stream.connection.admin_client import LATEST
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import edges
from workers.stream.connection.started import started
from workers.stream.consumer import StageLoop
from workers.stream.deduplication.folder import StateFolder, Stores
from workers.stream.displacement import Claim
from workers.stream.outage import patient
from workers.stream.partition.producer import place
from workers.stream.partition.quarantine import Quarantine
from workers.stream.period import begins_at, ends_at
from workers.stream.reader import live, stored
from workers.stream.wire.raw_names import RawNamesBatch, has_raw_names

PUBLISH_TIMEOUT_S = 30.0


class KafkaBus:
    """Stages in consumer groups `auction.<stage>`; readers outside any group, committed records only."""

    def __init__(
        self, settings: Settings, observer: Observer, clients: Clients | None = None, stores: Stores | None = None
    ) -> None:
        self._settings, self._observer = settings, observer
        self._stores = StateFolder(settings) if stores is None else stores
        self._clients = Clients(settings) if clients is None else clients

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Write with an idempotent producer, as any client that submits queries does."""
        producer = self._clients.producer(enable_idempotence=True, max_request_size=DEAD_LETTER_MAX_BYTES)
        async with started(producer, self._clients):
            sent = [await _send(producer, record) for record in records]
            await asyncio.wait_for(asyncio.gather(*sent), PUBLISH_TIMEOUT_S)

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[Callable[[Outgoing], Awaitable[None]]]:
        """One producer for as long as it takes: what is yielded writes a record, and returns when Kafka has it.

        BrokerError: Kafka did not take it, or did not say so. AccessDenied: it refuses this user.
        """
        producer = self._clients.producer(enable_idempotence=True, max_request_size=DEAD_LETTER_MAX_BYTES)

        async def write(record: Outgoing) -> None:
            try:
                await (await _send(producer, record))
            except KafkaError as error:
                why = denied(error, self._clients.user, WRITE)
                raise why or BrokerError(f"Kafka did not acknowledge a record: {error!r}") from error

        async with started(producer, self._clients):
            yield write

    @asynccontextmanager
    async def read(self, topics: Sequence[str]) -> AsyncIterator[AsyncIterator[Record]]:
        async with aclosing(live(self._clients, topics, asyncio.Event())) as batches:
            await anext(batches)  # from here on
            yield (record async for batch in batches for record in batch)

    async def stored(
        self,
        topics: Sequence[str],
        key: bytes | None = None,
        since: Offsets | None = None,
        until: Offsets | None = None,
    ) -> AsyncGenerator[Record, None]:
        def is_wanted(at: TopicPartition, count: int) -> bool:
            return key is None or place(key, count) == at.partition

        async with aclosing(stored(self._clients, topics, is_wanted, since, until)) as records:
            async for record in records:
                yield record

    async def stored_in(
        self,
        topics: Sequence[str],
        begin: datetime | None,
        end: datetime | None,
        key: bytes | None = None,
        whole: Collection[str] = (),
    ) -> AsyncGenerator[Record, None]:
        """As `stored`, of a period: all that was stamped in it, and some of what comes after; None is no limit.

        `whole`: those of the topics that are read from end to end.
        """
        limited = [name for name in topics if name not in whole]
        since = await begins_at(self._clients, limited, begin) if begin else None
        until = await ends_at(self._clients, limited, end) if end else None
        async with aclosing(self.stored(topics, key, since, until)) as records:
            async for record in records:
                yield record

    async def ends(self, topics: Sequence[str]) -> Offsets:
        return await edges(self._clients, topics, LATEST)

    async def run(self, stages: Sequence[Stage], stop: asyncio.Event) -> None:
        """As `Bus.run`. NotRetriable before other errors; Stalled: a stage was cancelled, and nobody here did that."""
        quarantine = Quarantine()
        waiting = [patient(stage, self._observer) for stage in stages]
        means = self._settings, self._clients, Claim.of_process(self._settings.instance)
        loops = [StageLoop(*means, stage, self._observer, quarantine, self._stores) for stage in waiting]
        tasks = [asyncio.create_task(loop.run(stop), name=loop.stage.spec.name) for loop in loops]
        is_told = False
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            is_told = stop.is_set()
        finally:
            stop.set()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        if failures := [outcome for outcome in outcomes if _is_failure(outcome)]:
            raise min(failures, key=lambda failure: not isinstance(failure, NotRetriable))  # somebody must act on it
        if not is_told:
            ended = ", ".join(task.get_name() for task in tasks if task.cancelled())
            raise Stalled(f"{ended or 'a stage'} was cancelled, and not by us: Kafka was away, most likely")


def _is_failure(outcome: BaseException | None) -> TypeGuard[BaseException]:
    """aiokafka cancels its own tasks when it is stopped without a broker: that is no error."""
    return isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError)


async def _send(producer: Any, record: Outgoing) -> Awaitable[Any]:
    """Kafka's answer is still to be awaited."""
    if has_raw_names(record):
        batch, count = RawNamesBatch(record, is_transactional=False), len(await producer.partitions_for(record.topic))
        answer: Awaitable[Any] = await producer.send_batch(batch, record.topic, partition=place(record.key, count))
    else:
        answer = await producer.send(record.topic, record.value, key=record.key, headers=list(record.headers))
    return answer
