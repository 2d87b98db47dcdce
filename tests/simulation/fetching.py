"""The assigned partitions of a consumer: each is fetched ahead in the background and drained in turns."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from tests.simulation.clock import CURRENT, Process
from tests.simulation.network import Network


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


class Fetching:
    """`places` is another dict after each assignment. `error`: what the next drain is to raise."""

    def __init__(self, network: Network) -> None:
        process = CURRENT.get()
        assert process is not None
        self._process: Process = process
        self._network = network
        self._loop = asyncio.get_running_loop()
        self.places: dict[TopicPartition, Place] = {}
        self.is_closed = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def close(self) -> None:
        self.is_closed = True
        self._wake()

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self.places = {partition: Place() for partition in partitions}

    def assigned(self, partition: TopicPartition) -> Place:
        """Raises IllegalStateError."""
        place = self.places.get(partition)
        if place is None:
            raise IllegalStateError(f"No current assignment for partition {partition}")
        return place

    def seek(self, partition: TopicPartition, offset: int) -> None:
        place = self.assigned(partition)
        place.position, place.records, place.fetching = offset, None, False
        place.turn += 1
        self._fetch(partition, place)

    def begin(self, partition: TopicPartition, place: Place, offset: int) -> None:
        """At its first position."""
        place.position = offset
        self._fetch(partition, place)

    def resume(self, partition: TopicPartition) -> None:
        place = self.assigned(partition)
        place.paused = False
        self._fetch(partition, place)
        if place.records is not None:
            self._wake()

    def fail(self, error: Exception) -> None:
        """The next drain raises it."""
        self._error = error
        self._wake()

    def drain(self, partitions: Sequence[TopicPartition], limit: int) -> dict[TopicPartition, list[Any]]:
        """What is here of the partitions, of all when none is named; `limit` records at most."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        drained: dict[TopicPartition, list[Any]] = {}
        for partition, place in list(self.places.items()):
            if (partitions and partition not in partitions) or place.records is None or not limit:
                continue
            if taken := self._take(place, limit):
                drained[partition] = taken
                limit -= len(taken)
            self._fetch(partition, place)
        return drained

    def _take(self, place: Place, limit: int) -> list[Any]:
        assert place.records is not None
        if place.paused or place.position != place.fetched_at:
            place.records = None  # as aiokafka: not returned, fetched again
            return []
        taken, left = place.records[:limit], place.records[limit:]
        place.position = taken[-1].offset + 1 if left else place.next_position
        place.records, place.fetched_at = left or None, place.position
        return list(taken)

    async def wait(self, end_s: float) -> None:
        """Until there may be something to drain, or until this time."""
        self._waiter = self._loop.create_future()
        timer = self._loop.call_at(end_s, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()

    def _fetch(self, partition: TopicPartition, place: Place) -> None:
        ready = place.position is not None and not place.paused and place.records is None
        if not ready or place.fetching or self.is_closed or self.places.get(partition) is not place:
            return
        place.fetching, turn, position = True, place.turn, place.position

        def found(answer: tuple[Sequence[Any], int, int] | None) -> None:
            if place.turn != turn or self.places.get(partition) is not place:
                return
            place.fetching = False
            if answer is None:
                self._fetch(partition, place)
            else:
                place.records, place.next_position, place.stable = answer
                place.fetched_at = position
                self._wake()

        self._network.fetch(self._process, partition, position, found)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
