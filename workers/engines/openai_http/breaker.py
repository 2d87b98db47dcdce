"""A circuit breaker: a server that stays silent is not asked for a while, and then by one request first.

Of our own, because the small libraries do less than this and what does it is large: pybreaker has no coroutines,
aiobreaker ended in 2021, circuitbreaker and purgatory let every waiting call through at once when the pause is over,
and interlock-cb is four thousand lines for windows, registries and clients that are not needed here.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from workers.errors import EngineTimeout, EngineUnavailable

#: Silent in a row. Fewer than the attempts in engines/calls.py: a server that takes requests and never answers is
#: found to be down, and waited for, before a record is given up.
FAILURES = 3
OPEN_S = 5.0
#: A request that its caller gives up is a silence after this long without an answer to anybody: longer than the probes
#: of callers whose patience is short, and less than the usual deadline of an auction, which may end before the
#: request's own time does, so that no time-out would ever be seen.
PATIENCE_S = 5.0
QUIET_S = 10.0  # no vLLM server is stopped and another started in less


class Silent(EngineUnavailable):
    """No answer from the server itself: no connection, a connection that broke, or a proxy without a server."""


class Breaker:
    """Guards the requests to one server.

    `doubts` counts the reasons to ask whether it is still the same server: each silence, and each answer that is the
    first for QUIET_S.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.doubts = 0
        self._failures = 0
        self._reason = ""
        self._silent_s = float("-inf")
        self._answered_s = clock()
        self._probe: asyncio.Event | None = None  # set when the probe that is on its way has ended

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[None]:
        """One request. EngineUnavailable at once: the server was silent, and it is not yet time to ask again."""
        probe = await self._admitted()
        sent_s = self._clock()
        try:
            yield
        except (Silent, EngineTimeout) as error:
            self._silent(str(error))
            raise
        except asyncio.CancelledError:
            self._given_up(sent_s)
            raise
        except Exception:
            self._answered()  # if not as hoped for
            raise
        else:
            self._answered()
        finally:
            if probe is not None:
                self._probe = None
                probe.set()

    async def _admitted(self) -> asyncio.Event | None:
        """What to set at its end if this request is the probe.

        Others wait for that: a call is many requests, and the first that failed would end the probe beside it.
        """
        while self._failures >= FAILURES:
            if (left_s := self._silent_s + OPEN_S - self._clock()) > 0:
                again = f"{self._failures} times in a row; asked again in {left_s:.1f} s"
                raise EngineUnavailable(f"{self._reason} ({again})")
            if self._probe is None:
                self._probe = asyncio.Event()
                return self._probe
            await self._probe.wait()
        return None

    def _given_up(self, sent_s: float) -> None:
        """A silence, unless the server answers others, or the time was short.

        The many requests of one call end together: what they waited for together is one silence, not many.
        """
        waited_s = self._clock() - max(sent_s, self._answered_s, self._silent_s)
        if waited_s >= PATIENCE_S:
            self._silent(f"no answer to anybody for {waited_s:.1f} s, when a request was given up")

    def _silent(self, reason: str) -> None:
        self._failures += 1
        self.doubts += 1
        self._reason = reason
        self._silent_s = self._clock()

    def _answered(self) -> None:
        now_s = self._clock()
        if now_s - self._answered_s >= QUIET_S:
            self.doubts += 1
        self._failures, self._answered_s = 0, now_s
