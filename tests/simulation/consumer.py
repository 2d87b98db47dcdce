"""A consumer with aiokafka's methods, as far as the stream code uses them, on the simulated network."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.protocol.commit import OffsetFetchRequest

from tests.simulation.clock import CURRENT, Process
from tests.simulation.groups import Group
from tests.simulation.network import Network

MILLISECONDS = 1_000
JOIN_GRACE_S = 5.0
RETRY_S = 0.1


@dataclass(eq=False)
class Place:
    """One assigned partition. `turn` changes with every seek: answers to earlier fetches do not count."""

    position: int | None = None
    paused: bool = False
    fetching: bool = False
    turn: int = 0
    records: Sequence[Any] | None = None  # fetched and not yet taken
    fetched_at: int = -1  # the position they belong to
    next_position: int = -1
    stable: int | None = None  # the last stable offset, as the last fetch told it


class SimulatedConsumer:
    """Fetches ahead in the background; a member of a group once it has subscribed."""

    def __init__(self, network: Network, options: dict[str, Any]) -> None:
        process = CURRENT.get()
        assert process is not None
        self._process: Process = process
        self._network, self._options = network, options
        self._loop = asyncio.get_running_loop()
        self._places: dict[TopicPartition, Place] = {}
        self._reassigned: asyncio.Event | None = None  # set when a rebalance is over
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._coordination: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._member: str | None = None
        self._listener: Any = None
        self._closed = False

    async def start(self) -> None:
        await self._network.ask("Metadata", self._network.broker.check_up)

    async def stop(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._wake()
        for task in (self._coordination, self._refreshing):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._member is not None and self._options.get("group_instance_id") is None:
            member, group = self._member, self._group
            with contextlib.suppress(KafkaError):
                await self._network.ask("Leave", lambda: self._at_broker(lambda: group.leave(member)))

    # What the stream code calls

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self._places = {partition: Place() for partition in partitions}

    def subscribe(self, topics: Sequence[str], listener: Any) -> None:
        self._listener = listener
        self._coordination = asyncio.create_task(self._coordinate(), name="coordination")

    def seek(self, partition: TopicPartition, offset: int) -> None:
        place = self._assigned(partition)
        place.position, place.records, place.fetching = offset, None, False
        place.turn += 1
        self._fetch(partition, place)

    def pause(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._assigned(partition).paused = True

    def resume(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            place = self._assigned(partition)
            place.paused = False
            self._fetch(partition, place)
            if place.records is not None:
                self._wake()

    async def position(self, partition: TopicPartition) -> int:
        while (position := self._assigned(partition).position) is None:
            await asyncio.sleep(RETRY_S)
        return position

    def last_stable_offset(self, partition: TopicPartition) -> int | None:
        assert partition in self._places, "Partition is not assigned"  # as aiokafka
        return self._places[partition].stable

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Any]]:
        if self._closed:
            raise ConsumerStoppedError
        end_s = self._loop.time() + timeout_ms / MILLISECONDS
        while True:
            while self._reassigned is not None:
                await self._reassigned.wait()
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            drained = self._drain(partitions, max_records or 500)
            if drained or self._loop.time() >= end_s - 1e-9 or self._closed:
                return drained
            await self._wait(end_s)

    # Fetching

    def _assigned(self, partition: TopicPartition) -> Place:
        place = self._places.get(partition)
        if place is None:
            raise IllegalStateError(f"No current assignment for partition {partition}")
        return place

    def _fetch(self, partition: TopicPartition, place: Place) -> None:
        ready = place.position is not None and not place.paused and place.records is None
        if not ready or place.fetching or self._closed or self._places.get(partition) is not place:
            return
        place.fetching, turn, position = True, place.turn, place.position

        def found(answer: tuple[Sequence[Any], int, int] | None) -> None:
            if place.turn != turn or self._places.get(partition) is not place:
                return
            place.fetching = False
            if answer is None:
                self._fetch(partition, place)
            else:
                place.records, place.next_position, place.stable = answer
                place.fetched_at = position
                self._wake()

        self._network.fetch(self._process, partition, position, found)

    def _drain(self, partitions: Sequence[TopicPartition], limit: int) -> dict[TopicPartition, list[Any]]:
        drained: dict[TopicPartition, list[Any]] = {}
        for partition, place in list(self._places.items()):
            if (partitions and partition not in partitions) or place.records is None or not limit:
                continue
            if place.paused or place.position != place.fetched_at:
                place.records = None  # as aiokafka: not returned, fetched again
            else:
                taken, left = place.records[:limit], place.records[limit:]
                place.position = taken[-1].offset + 1 if left else place.next_position
                place.records, place.fetched_at = left or None, place.position
                limit -= len(taken)
                if taken:
                    drained[partition] = list(taken)
            self._fetch(partition, place)
        return drained

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, end_s: float) -> None:
        self._waiter = self._loop.create_future()
        timer = self._loop.call_at(end_s, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()

    # The group

    @property
    def _group(self) -> Group:
        return self._network.broker.groups[self._options["group_id"]]

    @property
    def _session_s(self) -> float:
        return float(self._options["session_timeout_ms"]) / MILLISECONDS

    async def _coordinate(self) -> None:
        """Join; while the heartbeats are answered well all is well; else revoke and join again."""
        while not self._closed:
            await self._call_listener("on_partitions_revoked", list(self._places))
            try:
                self._member, generation, places = await self._join()
            except (KafkaError, TimeoutError) as error:
                if isinstance(error, UnknownMemberIdError):
                    self._member = None
                await asyncio.sleep(RETRY_S)
                continue
            await self._take(places)
            try:
                await self._heartbeats(self._member, generation)
            except RebalanceInProgressError:
                pass
            except (UnknownMemberIdError, IllegalGenerationError):
                self._member = None
            if self._reassigned is None:
                self._reassigned = asyncio.Event()

    async def _take(self, places: Sequence[tuple[str, int]]) -> None:
        assigned = [TopicPartition(*place) for place in places]
        self._places = {partition: Place() for partition in assigned}
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._refreshing = asyncio.create_task(self._refresh(self._places), name="refresh")
        if self._reassigned is not None:
            self._reassigned.set()
            self._reassigned = None
        await self._call_listener("on_partitions_assigned", assigned)

    async def _call_listener(self, method: str, partitions: Sequence[TopicPartition]) -> None:
        """aiokafka logs what a listener raises and goes on; here it is a finding."""
        try:
            await getattr(self._listener, method)(partitions)
        except Exception as error:  # noqa: BLE001  # reported with the run's findings
            self._loop.call_exception_handler({"message": f"{method} raised", "exception": error})

    async def _join(self) -> tuple[str, int, Sequence[tuple[str, int]]]:
        answered: asyncio.Future[Any] = self._loop.create_future()
        member, instance = self._member, self._options.get("group_instance_id")

        def answer(result: Any) -> None:
            if not answered.done():
                answered.set_result(result)

        await self._network.ask(
            "Join", lambda: self._at_broker(lambda: self._group.join(member, instance, self._session_s, answer))
        )
        result = await asyncio.wait_for(answered, self._session_s + JOIN_GRACE_S)
        if isinstance(result, type):
            raise result
        await asyncio.sleep(self._network.latency_s())
        return result  # type: ignore[no-any-return]

    async def _heartbeats(self, member: str, generation: int) -> None:
        while True:
            await asyncio.sleep(self._options["heartbeat_interval_ms"] / MILLISECONDS)
            try:
                error = await self._network.ask(
                    "Heartbeat", lambda: self._at_broker(lambda: self._group.heartbeat(member, generation))
                )
            except KafkaError:
                continue
            if error is not None:
                raise error

    def _at_broker(self, act: Any) -> Any:
        self._network.broker.check_up()
        return act()

    async def _refresh(self, places: dict[TopicPartition, Place]) -> None:
        """The committed offsets as first positions, as aiokafka reads them: a loading coordinator is taken for none."""
        for partition, place in places.items():
            request = OffsetFetchRequest(self._options["group_id"], [(partition.topic, [partition.partition])])
            with contextlib.suppress(KafkaError):
                answer = await self._network.ask(
                    "OffsetFetch", lambda asked=request: self._network.broker.handle(asked)
                )
                if place.position is not None or self._places is not places:
                    continue
                if answer.error_code or answer.topics[0][1][0][1] < 0:
                    self._error = NoOffsetForPartitionError(partition)
                    self._wake()
                    continue
                place.position = answer.topics[0][1][0][1]
                self._fetch(partition, place)
