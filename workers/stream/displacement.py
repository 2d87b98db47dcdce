"""Two processes with one instance name: Kafka takes the partitions from each for the other, without an error.

One of them is to end. The one that has held its place for long bears more than any newcomer; between two that began
together a draw decides. Whoever ends does so before it joins again, so that the other one keeps its place.
"""

import random
from collections import deque
from collections.abc import Callable
from functools import cache

from workers.errors import Unsuitable

LIMITS = range(4, 13, 2)
NEWCOMER_SESSIONS = 2  # within them a newcomer loses its place to a process that was there
#: Between two losses of the place at most: the other's heartbeats take a quarter each, a session's own end a whole one.
SESSIONS_APART = 0.9


@cache
def drawn_limit() -> int:
    """One for all stages of this process, or one stage would end it and another stage the other process."""
    return random.choice(LIMITS)  # noqa: S311  # no secret


class Displacement:
    """How often a member of a group, as whom this process has a name of its own, lost its place to another."""

    def __init__(self, instance: str, session_s: float, clock: Callable[[], float]) -> None:
        self._instance, self._session_s, self._clock = instance, session_s, clock
        self._joined_s: float | None = None
        self._has_place = False
        self._limit = 0  # known at the first displacement
        self._moments: deque[float] = deque()

    def joined(self) -> None:
        """The group gave this process partitions."""
        self._has_place = True
        if self._joined_s is None:
            self._joined_s = self._clock()

    def joins_again(self, member_id: str) -> None:
        """About to join; without a member id the place was lost. Unsuitable: too often to have lost it by itself.

        A place that is lost once is lost once, however often joining fails after it, as it does in an outage.
        """
        if not self._instance or self._joined_s is None or member_id or not self._has_place:
            return
        self._has_place = False
        now_s = self._clock()
        self._limit = self._limit or self._limit_at(now_s - self._joined_s)
        within_s = (self._limit - 1) * SESSIONS_APART * self._session_s
        self._moments.append(now_s)
        while now_s - self._moments[0] >= within_s:
            self._moments.popleft()
        if len(self._moments) >= self._limit:
            raise Unsuitable(
                f"another process runs the same stage as {self._instance!r} (TESSERA_INSTANCE, --instance): "
                f"each takes the partitions from the other, {self._limit} times within {within_s:.0f} s. Give "
                "every replica a name of its own, such as its ordinal, or none"
            )

    def _limit_at(self, age_s: float) -> int:
        is_newcomer = age_s < NEWCOMER_SESSIONS * self._session_s
        return drawn_limit() + (0 if is_newcomer else LIMITS[-1])
