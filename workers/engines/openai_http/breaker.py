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

#: Silent in a row. Fewer than the attempts in engines/retrying.py: a server that takes requests and never answers is
#: found to be down, and waited for, before a record is given up.
FAILURES = 3
OPEN_S = 5.0


class Silent(EngineUnavailable):
    """No answer from the server itself: no connection, a connection that broke, or a proxy without a server."""


class Breaker:
    """Guards the requests to one server."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._reason = ""
        self._opened_s = 0.0
        self._probe: asyncio.Event | None = None  # set when the probe that is on its way has ended

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[None]:
        """One request. EngineUnavailable at once: the server was silent, and it is not yet time to ask again."""
        probe = await self._admitted()
        try:
            yield
        except (Silent, EngineTimeout) as error:
            self._silent(str(error))
            raise
        except Exception:
            self._failures = 0  # an answer, if not the one hoped for
            raise
        else:
            self._failures = 0
        finally:
            if probe is not None:
                self._probe = None
                probe.set()

    async def _admitted(self) -> asyncio.Event | None:
        """What to set at its end if this request is the probe.

        Others wait for that: a call is many requests, and the first that failed would end the probe beside it.
        """
        while self._failures >= FAILURES:
            if (left_s := self._opened_s + OPEN_S - self._clock()) > 0:
                again = f"{self._failures} times in a row; asked again in {left_s:.1f} s"
                raise EngineUnavailable(f"{self._reason} ({again})")
            if self._probe is None:
                self._probe = asyncio.Event()
                return self._probe
            await self._probe.wait()
        return None

    def _silent(self, reason: str) -> None:
        self._failures += 1
        self._reason = reason
        if self._failures >= FAILURES:
            self._opened_s = self._clock()
