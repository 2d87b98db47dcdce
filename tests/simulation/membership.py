"""A consumer's membership in its group: it joins, sends heartbeats, and joins again when they are not answered well."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaError,
    NoOffsetForPartitionError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from tests.simulation.fetching import Fetching, Place
from tests.simulation.groups import Group
from tests.simulation.network import Network
from workers.stream.connection.offset_fetch import OffsetFetchRequest
from workers.stream.connection.static_members import FencedInstanceIdError

MILLISECONDS = 1_000
JOIN_GRACE_S = 5.0
RETRY_S = 0.1


class Membership:
    """The partitions it is given become those of `fetching`, and begin where the group has committed."""

    def __init__(self, network: Network, options: dict[str, Any], fetching: Fetching, listener: Any) -> None:
        self._network, self._options = network, options
        self._fetching, self._listener = fetching, listener
        self._loop = asyncio.get_running_loop()
        self._member: str | None = None
        self._reassigned: asyncio.Event | None = None  # set when a rebalance is over
        self._error: KafkaError | None = None  # for the next poll
        self._told = asyncio.Event()  # a poll has raised it
        self._refreshing: asyncio.Task[None] | None = None
        self._coordination = asyncio.create_task(self._coordinate(), name="coordination")

    coordinator_id = 0  # of a broker that always answers

    @property
    def member_id(self) -> str:
        """As Kafka gave it; empty before it did."""
        return self._member or ""

    def reset_generation(self) -> None:
        """No member any more: it joins as a new one."""
        self._member = None

    async def settled(self) -> None:
        """Return when no rebalance goes on. KafkaError: joining failed, and goes on when this was raised."""
        while self._error is None and self._reassigned is not None:
            await self._reassigned.wait()
        if (error := self._error) is not None:
            self._error = None
            self._told.set()
            raise error

    async def _tell(self, error: KafkaError) -> None:
        """As aiokafka, which wraps what it does not know, and waits until a poll has raised it."""
        self._error = KafkaError(repr(error))
        self._told.clear()
        if self._reassigned is not None:
            self._reassigned.set()
            self._reassigned = asyncio.Event()
        await self._told.wait()

    async def leave(self) -> None:
        """End it; a static member stays one for the broker."""
        for task in (self._coordination, self._refreshing):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._member is not None and self._options.get("group_instance_id") is None:
            member, group = self._member, self._group
            with contextlib.suppress(KafkaError):
                await self._ask("Leave", lambda: group.leave(member))

    @property
    def _group(self) -> Group:
        return self._network.broker.groups[self._options["group_id"]]

    @property
    def _session_s(self) -> float:
        return float(self._options["session_timeout_ms"]) / MILLISECONDS

    async def _coordinate(self) -> None:
        """Join; while the heartbeats are answered well all is well; else revoke and join again."""
        while not self._fetching.is_closed:
            await self._call_listener("on_partitions_revoked", list(self._fetching.places))
            try:
                self._member, generation, places = await self._join()
            except FencedInstanceIdError as error:
                await self._tell(error)
                continue
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
        self._fetching.assign(assigned)
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._refreshing = asyncio.create_task(self._refresh(self._fetching.places), name="refresh")
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
        (assignor,) = self._options["partition_assignment_strategy"]
        subscription = assignor.metadata([]).encode()

        def answer(result: Any) -> None:
            if not answered.done():
                answered.set_result(result)

        await self._ask("Join", lambda: self._group.join(member, instance, self._session_s, subscription, answer))
        result = await asyncio.wait_for(answered, self._session_s + JOIN_GRACE_S)
        if isinstance(result, type):
            raise result
        await asyncio.sleep(self._network.latency_s())
        return result  # type: ignore[no-any-return]

    async def _heartbeats(self, member: str, generation: int) -> None:
        while True:
            await asyncio.sleep(self._options["heartbeat_interval_ms"] / MILLISECONDS)
            try:
                error = await self._ask("Heartbeat", lambda: self._group.heartbeat(member, generation))
            except KafkaError:
                continue
            if error is not None:
                raise error

    async def _refresh(self, places: dict[TopicPartition, Place]) -> None:
        """The committed offsets as first positions, as aiokafka reads them: a loading coordinator is taken for none."""
        for partition, place in places.items():
            group = self._options["group_id"]
            request = OffsetFetchRequest(group, partition.topic, [partition.partition], stable=False)
            with contextlib.suppress(KafkaError):
                answer = await self._network.ask("OffsetFetch", lambda asked=request: self._network.api.handle(asked))
                if place.position is not None or self._fetching.places is not places:
                    continue
                if answer.error_code or answer.topics[0][1][0][1] < 0:
                    self._fetching.fail(NoOffsetForPartitionError(partition))
                    continue
                self._fetching.begin(partition, place, answer.topics[0][1][0][1])

    async def _ask(self, kind: str, act: Callable[[], Any]) -> Any:
        """What the coordinator does by hand of the broker, if that is up."""

        def execute() -> Any:
            self._network.broker.check_up()
            return act()

        return await self._network.ask(kind, execute)
