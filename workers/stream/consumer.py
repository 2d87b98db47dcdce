"""The loop of one stage: a consumer in the stage's group that hands records to the actors of its partitions."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from workers.errors import BrokerError, OffsetLost, Stalled, Unsuitable
from workers.settings import Settings
from workers.stage import Stage
from workers.stream.bus import Observer
from workers.stream.connection.clients import REQUEST_TIMEOUT_MS, Clients
from workers.stream.connection.started import started
from workers.stream.connection.static_members import is_fenced, saying
from workers.stream.connection.unsuitable_settings import unsuitable
from workers.stream.deduplication.folder import Stores
from workers.stream.deduplication.recollection import check_partitions
from workers.stream.displacement import Claim, StaticMembership
from workers.stream.kafka_watch import KafkaWatch
from workers.stream.liveness import Liveness, Progress
from workers.stream.operator_lines import PARTITIONS_ASSIGNED, PARTITIONS_LET_GO, Line
from workers.stream.partition.lag import LagMeter
from workers.stream.partition.position import lost
from workers.stream.partition.position_log import Position
from workers.stream.partition.processor import PartitionActor
from workers.stream.partition.quarantine import Quarantine
from workers.stream.partition.state import WorkerFailed
from workers.stream.partition.transaction import Transactions
from workers.stream.reader import POLL_MS, RECORDS_PER_POLL, as_record

log = logging.getLogger(__name__)

LONGEST_LEAVE_S, LONGEST_POLL_S = 4.0, 1.0
HEARTBEATS_PER_SESSION = 4


class StageLoop(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """One stage's consumer. It only hands records to the actors.

    The rebalance callbacks do no I/O, but for one question after the place in the group was lost (`displacement.py`).
    """

    def __init__(
        self,
        settings: Settings,
        clients: Clients,
        claim: Claim,
        stage: Stage,
        observer: Observer,
        quarantine: Quarantine,
        stores: Stores,
    ) -> None:
        self.stage, self._settings, self._clients = stage, settings, clients
        self._observer, self._quarantine = observer, quarantine
        self._actors: dict[TopicPartition, PartitionActor] = {}
        self._tasks: dict[PartitionActor, asyncio.Task[None]] = {}
        known: dict[TopicPartition, Position] = {}  # to be committed, of every partition owned so far
        self._transactions = partial(Transactions, settings, clients, stage, stores, known)
        self._failure: BaseException | None = None
        self._partitions = 0  # of the topic, when its memory was last checked
        self._is_over = False  # a rebalance that was under way then assigns partitions to nobody
        self._liveness = Liveness(stage.spec.name)
        self._place = StaticMembership(clients, claim, stage.spec.name, stage.spec.group, settings.session_timeout_s)
        self._consumer = self._new_consumer()
        self._lag = LagMeter(stage.spec.name, self._consumer, observer)
        self._watch = KafkaWatch(stage.spec.name, self._consumer, observer)

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until `stop` is set; raises what an actor failed with, and BrokerError for topics that do not fit."""
        async with started(self._consumer, self._clients):
            self._partitions = await check_partitions(self._clients, self.stage.spec)
            self._consumer.subscribe([self.stage.spec.consumes.name], listener=self)
            self._lag.start(lambda: [*self._actors.values()])
            try:
                while not stop.is_set() and self._failure is None:
                    await self._poll()
                    self._lag.check()
                    self._watch.check()
            except OffsetOutOfRangeError as error:
                ((at, offset),) = [*error.args[0].items()][:1]
                where = f"group {self.stage.spec.group}, {at.topic} partition {at.partition}"
                raise OffsetLost(lost(where, offset)) from error
            except KafkaError as error:
                refused = BrokerError(f"stage {self.stage.spec.name}: Kafka refuses to be read: {error!r}")
                raise unsuitable(error, session_s=self._settings.session_timeout_s) or refused from error
            finally:
                self._is_over = True
                self._lag.stop()
                await self._let_go(list(self._actors))
                # whom a rebalance let go, and who takes long to let go of its producer: nobody waits for us any more
                await self._end(list(self._tasks.values()), LONGEST_LEAVE_S)
        if self._failure is not None:
            raise self._failure

    async def _poll(self) -> None:
        epochs = {partition: actor.epoch for partition, actor in self._actors.items()}
        try:
            async with asyncio.timeout(LONGEST_POLL_S):  # aiokafka itself waits for the end of a rebalance, or for ever
                batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL)
        except TimeoutError:
            return
        except NoOffsetForPartitionError:  # aiokafka's own look-up, which mistakes "not yet" for "none"
            await asyncio.sleep(POLL_MS / 1_000)  # the actor's opening asks for itself, and seeks or refuses
            return
        except KafkaError as error:
            if not is_fenced(error):
                raise
            self._lose_place()
            return
        for partition, records in batches.items():
            actor = self._actors.get(partition)
            if actor is None or not actor.ready:
                continue  # its own opening seeks to the right place
            if epochs.get(partition) != actor.epoch:
                # These records may have been fetched after the actor's own seek: fetch them again.
                actor.fetching.seek()
            else:
                actor.deliver(self._lag.noted(partition, [as_record(record) for record in records]))
        self._observer.in_flight(self.stage.spec.name, sum(len(actor.state) for actor in self._actors.values()))
        self._observer.assigned(self.stage.spec.name, self._is_ready())
        self._liveness.check({actor.partition: self._progress(actor) for actor in self._actors.values() if actor.ready})

    def _progress(self, actor: PartitionActor) -> Progress:
        """How far the actor has come, and how far it could."""
        return Progress(actor.state.next_offset, len(actor.state), actor.fetching.stable_end())

    def _is_ready(self) -> bool:
        return bool(self._actors) and all(actor.ready for actor in self._actors.values())

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Start an actor for each partition, paused until that has opened it. aiokafka calls this after a join."""
        self._observer.rebalanced(self.stage.spec.name)
        self._place.claimed()
        self._tell(PARTITIONS_ASSIGNED, assigned)
        for partition in () if self._is_over else assigned:
            self._consumer.pause(partition)
            if self._was_added(partition):
                continue
            means = self._settings, self._transactions, self.stage
            actor = PartitionActor(*means, partition, self._consumer, self._observer, self._is_owner, self._quarantine)
            self._actors[partition] = actor
            task = self._tasks[actor] = asyncio.create_task(actor.run(), name=f"{self.stage.spec.name} {partition}")
            task.add_done_callback(partial(self._actor_ended, actor))

    def _tell(self, line: Line, partitions: Iterable[TopicPartition]) -> None:
        if numbers := sorted(partition.partition for partition in partitions):
            spec = self.stage.spec
            line.tell(log, stage=spec.name, topic=spec.consumes.name, partitions=", ".join(map(str, numbers)))

    def _was_added(self, partition: TopicPartition) -> bool:
        """Whether a stage that remembers must end: queries of a new partition may be known in another one."""
        if is_added := self.stage.spec.remembers is not None and partition.partition >= self._partitions:
            self._failure = BrokerError(
                f"{partition.topic} had {self._partitions} partitions when this process started, and has "
                f"{partition.partition + 1} or more now. It ends; a new one checks what is remembered"
            )
        return is_added

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the actors commit and end, then ask whether this process may join again.

        aiokafka calls this before a join. CancelledError: another process has the instance's place; `run` raises why.
        """
        await self._let_go(list(revoked))
        if not self._is_over:
            await self._check_place()

    async def _check_place(self) -> None:
        """aiokafka logs what a callback raises and joins, unless it is a cancellation: `run` raises the failure."""
        try:
            await self._place.check(self._consumer._coordinator.member_id)
        except Unsuitable as error:
            self._failure = self._failure or error
            raise asyncio.CancelledError from error

    def _lose_place(self) -> None:
        """Another process joined while this one did. `on_partitions_revoked` is asked before it joins again."""
        self._place.claimed()
        coordinator = self._consumer._coordinator
        coordinator.reset_generation()
        coordinator._performed_join_prepare = False

    async def _let_go(self, partitions: Sequence[TopicPartition]) -> None:
        """Let the actors leave in order, for a moment; then forget them, so that they do nothing more, and end them.

        Whoever takes over settles what they leave open.
        """
        actors = [self._actors[partition] for partition in partitions if partition in self._actors]
        tasks = [self._tasks[actor] for actor in actors if actor in self._tasks]  # one that failed has ended
        self._tell(PARTITIONS_LET_GO, [actor.partition for actor in actors])
        for actor in actors:
            actor.leave()
        await _wait_for(tasks, self._leave_s)
        for actor in actors:  # a rebalance during the end of `run` lets the same actors go
            if self._is_owner(actor):
                del self._actors[actor.partition]
        await self._end(tasks, self._leave_s)

    async def _end(self, tasks: Sequence["asyncio.Task[None]"], within_s: float) -> None:
        for task in tasks:
            task.cancel()
        await _wait_for(tasks, within_s)

    @property
    def _leave_s(self) -> float:
        """No heartbeat is sent meanwhile."""
        return min(LONGEST_LEAVE_S, self._settings.session_timeout_s / 4)

    def _is_owner(self, actor: PartitionActor) -> bool:
        return self._actors.get(actor.partition) is actor

    def _actor_ended(self, actor: PartitionActor, task: asyncio.Task[None]) -> None:
        del self._tasks[actor]
        error = _why_it_ended(actor, task)
        if task.cancelled() and (self._is_over or not self._is_owner(actor)):
            return  # by us
        if error is not None and self._failure is None:
            self._failure = error.__cause__ if isinstance(error, WorkerFailed) else error

    def _new_consumer(self) -> Any:
        session_ms = int(self._settings.session_timeout_s * 1_000)
        return self._clients.consumer(
            client_id=self.stage.spec.group,
            group_id=self.stage.spec.group,
            group_instance_id=self._place.instance_id,
            partition_assignment_strategy=(saying(self._place.mark),),
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // HEARTBEATS_PER_SESSION,
            rebalance_timeout_ms=session_ms,
            max_poll_interval_ms=300_000,
            request_timeout_ms=max(session_ms + 5_000, REQUEST_TIMEOUT_MS),
        )


async def _wait_for(tasks: Sequence["asyncio.Task[None]"], within_s: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=within_s)


def _why_it_ended(actor: PartitionActor, task: "asyncio.Task[None]") -> BaseException | None:
    if task.cancelled():
        return Stalled(
            f"{actor.partition}: its work was cancelled, and not by us. The process ends; another begins anew"
        )
    return task.exception()
