"""Who is served first, and how many requests vLLM is given at once."""

import asyncio
import itertools
from dataclasses import dataclass

from workers.engines.calls import received_at_ms

BEHIND_SCORING = 1 << 48  # more than any number of milliseconds that a date can be


@dataclass(frozen=True, slots=True)
class RequestPriority:
    """Of all requests of one call: vLLM serves lower priorities first, and gets a request when a place is free."""

    priority: int
    places: asyncio.Semaphore


class Scheduler:
    """Scoring comes before drawing, and an older auction before a younger one; without an auction, calls in order.

    An auction whose replies are being scored is older than one that has none yet. All calls for one auction, and their
    repetitions, have the same priority, or every auction's reference would be scored before anybody's bids. vLLM
    refuses what is more than `queued` requests: one large auction would never be served. Half the places are for
    scoring, so that it does not wait until drawing leaves one.
    """

    def __init__(self, queued: int) -> None:
        self._scoring, self._drawing = (asyncio.Semaphore(max(1, queued // 2)) for _ in range(2))
        self._calls = itertools.count()

    def scoring(self) -> RequestPriority:
        """That of a call that scores, for the query that this task works on."""
        return RequestPriority(self._age(), self._scoring)

    def drawing(self) -> RequestPriority:
        """That of a call that draws: after all scoring."""
        return RequestPriority(BEHIND_SCORING + self._age(), self._drawing)

    def _age(self) -> int:
        age = received_at_ms()
        return next(self._calls) if age is None else age
