"""How often in a row work on a partition failed: how long to pause before it is opened again, when to give up."""

import asyncio
import random

FAILURES_ALLOWED, GOOD_RUN_S = 8, 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0


class Doubts:
    """Of one actor. Failures are in a row while none of the runs between them lasts GOOD_RUN_S."""

    def __init__(self) -> None:
        self.failures = 0
        self._now = asyncio.get_running_loop().time
        self._began = self._now()

    def add(self, *, is_first: bool) -> None:
        """One more. `is_first`: its cause was found, so that the next attempt is no repetition."""
        self.failures = 1 if is_first or self._now() - self._began > GOOD_RUN_S else self.failures + 1

    def go_on(self) -> None:
        """The next run begins."""
        self._began = self._now()

    @property
    def are_too_many(self) -> bool:
        return self.failures >= FAILURES_ALLOWED

    def pause_s(self) -> float:
        """Longer after each failure, with jitter."""
        pause_s: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**self.failures)
        return pause_s * random.uniform(0.5, 1.0)  # noqa: S311
