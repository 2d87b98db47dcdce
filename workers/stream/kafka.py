"""The bus on Kafka: consumer groups, one actor per input partition, exactly-once by transactions."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from schemas.record import Outgoing, Record
from schemas.topics import DEAD_LETTER_MAX_BYTES
from workers.errors import BrokerError
from workers.pipeline import Stage
from workers.settings import Settings
from workers.stream.bus import Observer
from workers.stream.clients import REQUEST_TIMEOUT_MS, Clients
from workers.stream.cluster import EARLIEST, LATEST
from workers.stream.history import History
from workers.stream.partition import PartitionActor, WorkerFailed
from workers.stream.reading import POLL_MS, RECORDS_PER_POLL, as_record, edges, reader, started
from workers.stream.recollection import check_partitions
from workers.stream.writer import place

log = logging.getLogger(__name__)

PUBLISH_TIMEOUT_S = 30.0
LET_GO_S = 4.0
HEARTBEATS_PER_SESSION = 4
MILLISECONDS = 1_000


class KafkaBus:
    """Stages in consumer groups `auction.<stage>`; readers outside any group, committed records only."""

    def __init__(self, settings: Settings, observer: Observer, clients: Clients | None = None) -> None:
        self._settings, self._observer = settings, observer
        self._clients = Clients(settings) if clients is None else clients

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Write with an idempotent producer, as any client that submits queries does."""
        producer = self._clients.producer(enable_idempotence=True, max_request_size=DEAD_LETTER_MAX_BYTES)
        async with started(producer, self._clients):
            sent = [
                await producer.send(record.topic, record.value, key=record.key, headers=list(record.headers))
                for record in records
            ]
            await asyncio.wait_for(asyncio.gather(*sent), PUBLISH_TIMEOUT_S)

    @asynccontextmanager
    async def read(self, topics: Sequence[str]) -> AsyncIterator[AsyncIterator[Record]]:
        async with reader(self._clients, await edges(self._clients, topics, LATEST)) as consumer:
            yield _committed_records(consumer)

    async def stored(self, topics: Sequence[str], key: bytes | None = None) -> AsyncGenerator[Record, None]:
        begins = await edges(self._clients, topics, EARLIEST)
        ends = {at: end for at, end in (await edges(self._clients, topics, LATEST)).items() if end > begins[at]}
        if key is not None:
            counts = Counter(partition.topic for partition in begins)
            ends = {at: end for at, end in ends.items() if place(key, counts[at.topic]) == at.partition}
        async with reader(self._clients, {partition: begins[partition] for partition in ends}) as consumer:
            async for record in History(consumer, ends).records():
                yield as_record(record)

    async def run(self, stages: Sequence[Stage], stop: asyncio.Event) -> None:
        loops = [StageLoop(self._settings, self._clients, stage, self._observer) for stage in stages]
        tasks = [asyncio.create_task(loop.run(stop), name=loop.stage.spec.name) for loop in loops]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.set()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:  # aiokafka cancels its own tasks when it is stopped without a broker: that is no error
            if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
                raise outcome


class StageLoop(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """One stage's consumer. It only hands records to the actors; the rebalance callbacks do no I/O."""

    def __init__(self, settings: Settings, clients: Clients, stage: Stage, observer: Observer) -> None:
        self.stage, self._settings, self._clients, self._observer = stage, settings, clients, observer
        self._actors: dict[TopicPartition, PartitionActor] = {}
        self._tasks: dict[PartitionActor, asyncio.Task[None]] = {}
        self._failure: BaseException | None = None
        self._consumer = self._new_consumer()

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until `stop` is set; raises what an actor failed with, and BrokerError for topics that do not fit."""
        async with started(self._consumer, self._clients):
            await check_partitions(self._clients, self.stage.spec)
            self._consumer.subscribe([self.stage.spec.consumes.name], listener=self)
            try:
                while not stop.is_set() and self._failure is None:
                    await self._poll()
            except KafkaError as error:
                raise BrokerError(f"stage {self.stage.spec.name}: Kafka refuses to be read: {error!r}") from error
            finally:
                await self._let_go(list(self._actors))
        if self._failure is not None:
            raise self._failure

    async def _poll(self) -> None:
        epochs = {partition: actor.epoch for partition, actor in self._actors.items()}
        batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL)
        for partition, records in batches.items():
            actor = self._actors.get(partition)
            if actor is None or not actor.ready:
                continue  # its own opening seeks to the right place
            if epochs.get(partition) != actor.epoch:
                actor.seek()  # these records may have been fetched after the actor's own seek: fetch them again
            else:
                actor.deliver([as_record(record) for record in records])
        self._observer.in_flight(self.stage.spec.name, sum(actor.in_flight for actor in self._actors.values()))
        self._observer.assigned(self.stage.spec.name, self._is_ready())

    def _is_ready(self) -> bool:
        return bool(self._actors) and all(actor.ready for actor in self._actors.values())

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._observer.rebalanced(self.stage.spec.name)
        for partition in assigned:
            self._consumer.pause(partition)
            actor = PartitionActor(
                self._settings, self._clients, self.stage, partition, self._consumer, self._observer, self._is_owner
            )
            self._actors[partition] = actor
            task = self._tasks[actor] = asyncio.create_task(actor.run(), name=f"{self.stage.spec.name} {partition}")
            task.add_done_callback(self._actor_ended)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._let_go(list(revoked))

    async def _let_go(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget the actors first, then end their tasks; whoever takes over settles what they leave open."""
        actors = [self._actors.pop(partition) for partition in partitions if partition in self._actors]
        tasks = [self._tasks.pop(actor) for actor in actors]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=LET_GO_S)

    def _is_owner(self, actor: PartitionActor) -> bool:
        return self._actors.get(actor.partition) is actor

    def _actor_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and self._failure is None:
            self._failure = error.__cause__ if isinstance(error, WorkerFailed) else error

    def _new_consumer(self) -> Any:
        settings, session_ms = self._settings, int(self._settings.session_timeout_s * MILLISECONDS)
        name = self.stage.spec.name
        return self._clients.consumer(
            client_id=self.stage.spec.group,
            group_id=self.stage.spec.group,
            group_instance_id=f"{name}-{settings.instance}" if settings.instance else None,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // HEARTBEATS_PER_SESSION,
            rebalance_timeout_ms=session_ms,
            max_poll_interval_ms=300_000,
            request_timeout_ms=max(session_ms + 5_000, REQUEST_TIMEOUT_MS),
        )


async def _committed_records(consumer: Any) -> AsyncIterator[Record]:
    while True:
        for records in (await consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL)).values():
            for record in records:
                yield as_record(record)
