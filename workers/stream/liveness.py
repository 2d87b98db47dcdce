"""Whether a stage still does its work: records that wait while nothing happens are a fault, cured by a new process."""

import asyncio
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from workers.errors import Stalled

LONGEST_STANDSTILL_S = 120.0


@dataclass(frozen=True, slots=True)
class Progress:
    """One partition: the next offset to be delivered, records in hand, the end of what may be read (-1: unknown)."""

    next_offset: int
    in_hand: int
    end: int


class Liveness:
    """A watchdog. A partition stands still while it has more to read, nothing in hand, and does not move.

    What is in hand has limits of its own: the auction's deadline, the limits of every step of a transaction.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._since: dict[Hashable, tuple[int, float]] = {}  # position, and since when it stands there

    def check(self, partitions: Mapping[Hashable, Progress]) -> None:
        """Stalled: a partition has stood still for LONGEST_STANDSTILL_S."""
        now = asyncio.get_running_loop().time()
        still = {at: one for at, one in partitions.items() if not one.in_hand and one.end > one.next_offset}
        self._since = {at: self._standing(at, one, now) for at, one in still.items()}
        for at, (offset, since) in self._since.items():
            if now - since > LONGEST_STANDSTILL_S:
                raise Stalled(
                    f"stage {self._stage}, {at}: nothing was read from offset {offset} on for {now - since:.0f} s, "
                    f"although records are stored up to {still[at].end}. The process ends so that another begins anew"
                )

    def _standing(self, at: Hashable, one: Progress, now: float) -> tuple[int, float]:
        known = self._since.get(at)
        return known if known is not None and known[0] == one.next_offset else (one.next_offset, now)
