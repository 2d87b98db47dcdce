"""When which fault comes: seeded, spread evenly with jitter over the auctions of a round, never by the clock."""

import random
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: Faults for 200 000 auctions.
PER_200_000: Mapping[str, int] = {
    "worker_kill": 300,
    "worker_kill_in_transaction": 150,
    "zombie": 34,
    "zombie_before_commit": 34,
    "broker_kill": 32,
    "broker_restart": 12,
    "rebalance": 40,
    "latency": 64,
    "black_hole": 64,
    "reset": 64,
    "end_txn_delayed": 180,
    "end_txn_dropped": 60,
    "abort": 200,
}
WHOLE = 200_000
CERTAIN = frozenset({"worker_kill", "broker_kill", "broker_restart"})  # all others may come to nothing
FIRST, LAST = 0.03, 0.93  # share of the auctions before and after which nothing breaks


@dataclass(frozen=True, slots=True)
class Appointment:
    """A fault that is due once so many auctions have ended."""

    after: int
    fault: str


def share(auctions: int, done: int = 0) -> dict[str, int]:
    """How many of each fault belong to `auctions` auctions when `done` came before: the sums add up exactly."""
    upto, before = done + auctions, done
    return {name: _part(whole, upto) - _part(whole, before) for name, whole in PER_200_000.items()}


def _part(whole: int, auctions: int) -> int:
    return -(-whole * auctions // WHOLE)  # rounded up: a first short round has one of each


def appointments(planned: Mapping[str, int], auctions: int, seed: int) -> deque[Appointment]:
    """In order of their time; each kind has its share of every stretch of the round."""
    drawn = random.Random(seed)
    made = [one for name, count in planned.items() for one in _spread(name, _booked(name, count), auctions, drawn)]
    return deque(sorted(made, key=lambda one: (one.after, one.fault)))


def _booked(name: str, planned: int) -> int:
    """What may come to nothing is tried more often: its worker may be killed for another fault, or have no work."""
    return planned if name in CERTAIN or not planned else planned + 1 + planned // 4


def _spread(name: str, count: int, auctions: int, drawn: random.Random) -> Iterator[Appointment]:
    for number in range(count):
        at = (number + drawn.random()) / count
        yield Appointment(int(auctions * (FIRST + (LAST - FIRST) * at)), name)
