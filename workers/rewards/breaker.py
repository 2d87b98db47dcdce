"""A circuit breaker on slow calls as well as failed ones, after resilience4j's slow-call rate.

engines/openai_http/breaker.py guards one server's connections: everybody waits there for its probe, as the reference
engine is worth waiting for. Here nobody waits. No well-kept Python library counts slow calls: pybreaker, purgatory and
circuitbreaker know only failures.
"""

import time
from collections import deque
from collections.abc import Callable

WINDOW = 12  # recent answers that are judged together
MOST_SLOW = 3  # of these: a 75th percentile; one more opens it
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 60.0


class SlowCallBreaker:
    """Closed: calls are let through. Open: none is, but a probe when the pause is over; each further pause is longer.

    After a probe in time it is closed on probation: one slow call among the next opens it again. Only a window
    without a slow call makes the pause short again, so that a server gains nothing by being quick for probes alone.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._in_time: deque[bool] = deque(maxlen=WINDOW)
        self._pause_s, self._probe_at_s = FIRST_PAUSE_S, 0.0
        self.is_open = False

    @property
    def probe_due(self) -> bool:
        """Whether the pause is over."""
        return self.is_open and self._clock() >= self._probe_at_s

    def answered(self, in_time: bool) -> None:
        """A call got an answer; one that was let through before the breaker opened changes nothing."""
        if self.is_open:
            return
        self._in_time.append(in_time)
        if all(self._in_time):
            self._pause_s = FIRST_PAUSE_S
        elif self._in_time.count(False) > MOST_SLOW:
            self._open()

    def failed(self) -> None:
        """A call got no answer."""
        if not self.is_open:
            self._open()

    def probed(self, in_time: bool) -> None:
        """The probe's end."""
        if in_time:
            self.is_open, self._in_time = False, deque([False] * MOST_SLOW, WINDOW)
        else:
            self._open()

    def _open(self) -> None:
        self.is_open, self._probe_at_s = True, self._clock() + self._pause_s
        self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)
