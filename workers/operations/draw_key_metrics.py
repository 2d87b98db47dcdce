"""Whether keys of the draw are revealed in time: until then nobody but their owner can repeat those days' draws."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge

from workers.draw_keys import Committed, oldest_unrevealed
from workers.errors import TesseraError

LOOK_EVERY_S = 300.0


class DrawKeyMetrics:
    """For how long the oldest key is due, by `clock` at each scrape: it goes on growing while nobody can look."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._due: datetime | None = None
        overdue = Gauge(
            "auction_draw_keys_overdue_seconds",
            "Since a day's draw key could have been revealed, of the oldest that is not; 0: none is due.",
            registry=registry,
        )
        overdue.set_function(self._overdue_s)

    def saw(self, known: Iterable[Committed]) -> None:
        """What the commitment topic says now."""
        self._due = oldest_unrevealed(known)

    async def watch(
        self, read: Callable[[], Awaitable[Mapping[str, Committed]]], every_s: float = LOOK_EVERY_S
    ) -> None:
        """Look at the topic now and every `every_s`, for ever. Where Kafka does not answer, what was seen stands."""
        while True:
            with suppress(TesseraError):  # an outage has metrics and alerts of its own
                self.saw((await read()).values())
            await asyncio.sleep(every_s)

    def _overdue_s(self) -> float:
        return 0.0 if self._due is None else max(0.0, (self._clock() - self._due).total_seconds())
