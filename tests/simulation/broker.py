"""The broker: the logs, the groups and the transactions of one node; it goes down and comes up, loading."""

import random
from collections.abc import Callable
from typing import Any

from tests.simulation.clock import NOBODY, VirtualLoop
from tests.simulation.groups import Group
from tests.simulation.log import Fate, PartitionLog, Stored
from tests.simulation.transactions import Place, TransactionCoordinator
from tests.support.builders import SUBMITTED_AT

MILLISECONDS = 1_000
BEGAN_MS = int(SUBMITTED_AT.timestamp() * MILLISECONDS)  # of the builders' queries, and of the workers' clock
OFFSETS = "__consumer_offsets"
MARKER_DELAYS_S = (0.0005, 0.03)
SLOW_MARKER_S = 0.6


class Down(Exception):
    """The broker does not run: no answer."""


class Broker:
    """One node with every partition. `note` counts what happened, by name."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, note: Callable[[str], None]) -> None:
        self._loop, self._rng, self.note = loop, rng, note
        self.logs: dict[str, list[PartitionLog]] = {}
        self.groups: dict[str, Group] = {}
        self.transactions = TransactionCoordinator(self._write_marker, self.later, note)
        self.is_up, self.incarnation = True, 0
        self.loading: dict[str, float] = {}  # kind of coordinator: when it has loaded
        self.refuses_batch: Callable[[], bool] = lambda: False
        self.slow_markers = 0.0  # the share of markers that take long
        self._waiters: dict[tuple[str, int], list[Callable[[], None]]] = {}

    def create(self, topic: str, partitions: int) -> None:
        self.logs[topic] = [PartitionLog(topic, number) for number in range(partitions)]

    def add_group(self, name: str, topic: str) -> Group:
        """A group that has read nothing of the topic yet."""
        places = [(topic, log.number) for log in self.logs[topic]]
        group = Group(name, places, self._rng, self.later, self._loop.time, self.note)
        group.committed = dict.fromkeys(places, (0, ""))
        self.groups[name] = group
        return group

    # Running

    def check_up(self) -> None:
        if not self.is_up:
            raise Down

    def later(self, delay_s: float | None, callback: Callable[..., None], *args: Any) -> Any:
        """Call in a while (None: as long as a marker takes), or when the broker is up again and has loaded."""
        if delay_s is None:
            delay_s = self._rng.uniform(*MARKER_DELAYS_S)
            if self._rng.random() < self.slow_markers:
                delay_s += self._rng.uniform(0, SLOW_MARKER_S)
                self.note("slow marker")
        return self._loop.call_later(delay_s, self._when_up, callback, args, context=NOBODY)

    def _when_up(self, callback: Callable[..., None], args: tuple[Any, ...]) -> None:
        if self.is_up and not self.is_loading("group") and not self.is_loading("transaction"):
            callback(*args)
        else:
            self._loop.call_later(self._rng.uniform(0.01, 0.2), self._when_up, callback, args, context=NOBODY)

    def stop(self) -> None:
        self.is_up = False
        self.incarnation += 1
        self.note("broker restart")
        self._wake_all()

    def start(self) -> None:
        self.is_up = True
        self._load()

    def elect(self) -> None:
        """The coordinators' partitions get another leader, which is this broker again: they load."""
        if self.is_up:
            self.note("coordinators elected")
            self._load()

    def _load(self) -> None:
        now_s = self._loop.time()
        self.loading = {kind: now_s + self._rng.uniform(0, 0.8) for kind in ("group", "transaction")}
        for group in self.groups.values():
            group.come_up()

    def is_loading(self, kind: str) -> bool:
        return self.loading.get(kind, 0.0) > self._loop.time()

    # Reading

    def fetch(self, place: tuple[str, int], position: int, limit: int) -> tuple[list[Stored], int, int] | None:
        """Committed records from `position`, the next position, the last stable offset; None: nothing yet."""
        self.check_up()
        log = self.logs[place[0]][place[1]]
        found: list[Stored] = []
        at = position
        for entry in log.entries[position : log.stable]:
            at = entry.offset + 1
            if entry.is_visible:
                found.append(entry)
                if len(found) == limit:
                    break
        return (found, at, log.stable) if at > position else None

    def wait(self, place: tuple[str, int], wake: Callable[[], None]) -> None:
        """Call when the partition has more, or the broker goes down."""
        self._waiters.setdefault(place, []).append(wake)

    def wake(self, place: tuple[str, int]) -> None:
        for wake in self._waiters.pop(place, ()):
            wake()

    def _wake_all(self) -> None:
        for place in list(self._waiters):
            self.wake(place)

    # Writing

    def append(self, topic: str, number: int, key: bytes | None, value: bytes | None) -> int:
        """A record written outside any transaction; its offset."""
        record = Stored(topic, number, 0, self.now_ms(), key, value)
        self.logs[topic][number].append(record)
        self.wake((topic, number))
        return record.offset

    def now_ms(self) -> int:
        return BEGAN_MS + int(self._loop.time() * MILLISECONDS)

    def _write_marker(self, place: Place, pid: int, epoch: int, fate: Fate) -> None:
        if fate is Fate.ABORTED:
            self.note("abort marker")
        if place[0].startswith(OFFSETS):
            self.groups[place[0].removeprefix(OFFSETS)].mark(pid, epoch, fate)
            return
        self.logs[place[0]][place[1]].mark(pid, epoch, fate, self.now_ms())
        self.wake(place)


def place_of_offsets(group: str) -> Place:
    """Where a transaction holds the offsets of the group."""
    return OFFSETS + group, 0
