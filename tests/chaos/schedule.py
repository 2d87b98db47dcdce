"""When which fault comes: seeded, spread evenly with jitter over the auctions of a round, never by the clock."""

import random
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

EVERYTHING, BROKERS = "everything", "brokers"
#: Faults for so many auctions, by the name of the profile.
EVERYTHING_IN = 200_000
EVERYTHING_BREAKS: Mapping[str, int] = {
    "worker_kill": 300,
    "worker_kill_in_transaction": 150,
    "zombie": 34,
    "zombie_before_commit": 34,
    "broker_kill": 12,
    "broker_restart": 8,
    "broker_frozen": 8,
    "broker_disk_full": 6,
    "broker_checkpoint": 4,
    "broker_cut_off": 6,
    "broker_storm": 6,
    "rebalance": 40,
    "latency": 64,
    "black_hole": 64,
    "reset": 64,
    "end_txn_delayed": 180,
    "end_txn_dropped": 60,
    "abort": 200,
}
BROKERS_IN = 20_000
BROKERS_DIE: Mapping[str, int] = {
    "broker_frozen": 14,
    "broker_disk_full": 12,
    "broker_checkpoint": 12,
    "broker_cut_off": 10,
    "broker_storm": 14,
}
PROFILES = {EVERYTHING: (EVERYTHING_IN, EVERYTHING_BREAKS), BROKERS: (BROKERS_IN, BROKERS_DIE)}
DEATHS = frozenset(name for name in EVERYTHING_BREAKS if name.startswith("broker_"))
ZOMBIES = frozenset({"zombie", "zombie_before_commit"})  # a broker that dies proves nothing about them
CERTAIN = DEATHS | {"worker_kill"}  # all others may come to nothing
FIRST, LAST = 0.03, 0.93  # share of the auctions before and after which nothing breaks


@dataclass(frozen=True, slots=True)
class Appointment:
    """A fault that is due once so many auctions have ended."""

    after: int
    fault: str


def share(auctions: int, done: int = 0, profile: str = EVERYTHING) -> dict[str, int]:
    """How many of each fault belong to `auctions` auctions when `done` came before: the sums add up exactly."""
    of, faults = PROFILES[profile]
    upto, before = done + auctions, done
    return {name: _part(whole, upto, of) - _part(whole, before, of) for name, whole in faults.items()}


def _part(whole: int, auctions: int, of: int) -> int:
    return -(-whole * auctions // of)  # rounded up: a first short round has one of each


def appointments(planned: Mapping[str, int], auctions: int, seed: int) -> deque[Appointment]:
    """In order of their time; each kind has its share of every stretch of the round."""
    drawn = random.Random(seed)
    made = [one for name, count in planned.items() for one in _spread(name, _booked(name, count), auctions, drawn)]
    return deque(sorted(made, key=lambda one: (one.after, one.fault)))


def _booked(name: str, planned: int) -> int:
    """What may come to nothing is tried more often: its worker may be killed for another fault, or have no work."""
    return planned if name in CERTAIN or not planned else planned + 1 + planned // (2 if name in ZOMBIES else 4)


def _spread(name: str, count: int, auctions: int, drawn: random.Random) -> Iterator[Appointment]:
    for number in range(count):
        at = (number + drawn.random()) / count
        yield Appointment(int(auctions * (FIRST + (LAST - FIRST) * at)), name)
