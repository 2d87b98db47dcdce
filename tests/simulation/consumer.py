"""A consumer with aiokafka's methods, as far as the stream code uses them, on the simulated network."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError

from tests.simulation.fetching import Fetching
from tests.simulation.membership import Membership
from tests.simulation.network import Network
from workers.stream.connection.admin_client import LATEST

MILLISECONDS = 1_000
MOST_RECORDS = 500
RETRY_S = 0.1


class SimulatedConsumer:
    """Fetches what it is assigned; a member of a group once it has subscribed."""

    def __init__(self, network: Network, options: dict[str, Any]) -> None:
        self._network, self._options = network, options
        self._loop = asyncio.get_running_loop()
        self._fetching = Fetching(network)
        self._membership: Membership | None = None

    @property
    def _coordinator(self) -> Membership | None:
        """aiokafka's own, as far as it is asked for the member id and who coordinates."""
        return self._membership

    async def start(self) -> None:
        await self._network.ask("Metadata", self._network.broker.check_up)

    async def stop(self) -> None:
        if self._fetching.is_closed:
            return
        self._fetching.close()
        if self._membership is not None:
            await self._membership.leave()

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self._fetching.assign(partitions)

    def subscribe(self, topics: Sequence[str], listener: Any) -> None:
        self._membership = Membership(self._network, self._options, self._fetching, listener)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._fetching.seek(partition, offset)

    def pause(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._fetching.assigned(partition).paused = True

    def resume(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._fetching.resume(partition)

    async def position(self, partition: TopicPartition) -> int:
        while (position := self._fetching.assigned(partition).position) is None:
            await asyncio.sleep(RETRY_S)
        return position

    def last_stable_offset(self, partition: TopicPartition) -> int | None:
        assert partition in self._fetching.places, "Partition is not assigned"  # as aiokafka
        return self._fetching.places[partition].stable

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The ends of what is stored, whatever is committed of it."""
        broker = self._network.broker

        def ends() -> dict[TopicPartition, int]:
            broker.check_up()
            return {at: broker.logs[at.topic][at.partition].edge(LATEST, stable=False) for at in partitions}

        return await self._network.ask("ListOffsets", ends)

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Any]]:
        if self._fetching.is_closed:
            raise ConsumerStoppedError
        end_s = self._loop.time() + timeout_ms / MILLISECONDS
        while True:
            if self._membership is not None:
                await self._membership.settled()
            drained = self._fetching.drain(partitions, max_records or MOST_RECORDS)
            if drained or self._loop.time() >= end_s - 1e-9 or self._fetching.is_closed:
                return drained
            await self._fetching.wait(end_s)
