"""What the network is like now, and how often what it does has really happened: a late frame, an answer held back."""

import random
import time
from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass(frozen=True)
class HeldAnswer:
    """What becomes of the next answer to an EndTxn: late by `delay_s`, or never seen because the connection breaks."""

    delay_s: float = 0.0
    dropped: bool = False


@dataclass
class Weather:
    """Times are of time.monotonic()."""

    seed: int
    latency_s: float = 0.0
    latency_until: float = 0.0
    hole_until: float = 0.0
    end_txn: deque[HeldAnswer] = field(default_factory=deque)
    happened: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def delay_s(self) -> float:
        """How late the next frame is."""
        if time.monotonic() >= self.latency_until:
            return 0.0
        return self._random.uniform(0.0, 2 * self.latency_s)

    @property
    def is_hole(self) -> bool:
        return time.monotonic() < self.hole_until

    @property
    def is_quiet(self) -> bool:
        """No latency and no black hole at the moment."""
        return time.monotonic() >= max(self.latency_until, self.hole_until)
