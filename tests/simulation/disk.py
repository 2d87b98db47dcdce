"""The disks of the machines that workers run on: what a store holds outlives its process, and may be very old."""

from tests.simulation.world import World
from workers.stream.deduplication.store import Anchor, Checkpoint, Store, packed
from workers.stream.deduplication.volatile import VolatileStore
from workers.stream.wire.partitioner import Placement

FOREIGN = 0.15  # of all stores, when they are opened for the first time


class Disk:
    """Of one machine. Some of its stores were left by another cluster with topics of the same names."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stores: dict[tuple[str, int], VolatileStore] = {}
        self._notes: dict[str, str] = {}

    async def open(self, placement: Placement, number: int) -> Store:
        place = placement.topic, number
        if place not in self._stores:
            self._stores[place] = VolatileStore()
            if self._world.rng.random() < FOREIGN:
                self._leave_foreign(self._stores[place])
        elif self._stores[place].checkpoint.anchor is not None:
            self._world.faults.note("store found on disk")
        return self._stores[place]

    def leave(self, name: str, note: str) -> None:
        self._world.faults.note("attempt noted on disk")
        self._notes[name] = note

    def take(self, name: str) -> str:
        return self._notes.pop(name, "")

    def _leave_foreign(self, store: VolatileStore) -> None:
        """It has settled every query of this run, as other auctions."""
        self._world.faults.note("foreign store on disk")
        now_ms = self._world.broker.now_ms()
        ids = {given.query_id.encode() for given in self._world.scenario.given}
        anchor = Anchor(self._world.rng.randint(0, 6), now_ms, b"foreign")
        store.put([(id_, now_ms, packed("f" * 64, None)) for id_ in ids], Checkpoint(anchor, 0, now_ms, now_ms))
