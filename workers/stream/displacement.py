"""Two processes with one instance name: Kafka takes the partitions from each for the other, without an error."""

import random
from collections import deque
from collections.abc import Callable

from workers.errors import Unsuitable

LIMITS = (4, 6, 8)  # drawn by each process, so that most likely one of two goes on
SESSIONS_PER_DISPLACEMENT = (
    0.75  # the other's heartbeats take a quarter each, a session that ends by itself a whole one
)


class Displacement:
    """How often a member of a group, as whom this process has a name of its own, was given a new member id."""

    def __init__(self, instance: str, session_s: float, clock: Callable[[], float]) -> None:
        self._instance, self._clock = instance, clock
        self._limit = random.choice(LIMITS)  # noqa: S311  # no secret
        self._within_s = self._limit * SESSIONS_PER_DISPLACEMENT * session_s
        self._moments: deque[float] = deque(maxlen=self._limit)
        self._member_id: str | None = None

    def joined(self, member_id: str) -> None:
        """The group gave this process partitions. Unsuitable: it lost its place too often to have lost it by itself."""
        if not self._instance or self._member_id in (None, member_id):
            self._member_id = member_id
            return
        self._member_id = member_id
        self._moments.append(self._clock())
        if len(self._moments) == self._limit and self._moments[-1] - self._moments[0] < self._within_s:
            raise Unsuitable(
                f"another process runs the same stage as {self._instance!r} (TESSERA_INSTANCE, --instance): "
                f"each takes the partitions from the other, {self._limit} times within {self._within_s:.0f} s. Give "
                "every replica a name of its own, such as its ordinal, or none"
            )
