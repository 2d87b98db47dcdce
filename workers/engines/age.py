"""How old the auction is that an engine works for: an engine with a queue serves the older first.

Said once by whoever works on an auction, and known to every call made for it: candidates, reference, bids, repetitions.
"""

from contextvars import ContextVar
from datetime import datetime

_submitted_at_ms: ContextVar[int | None] = ContextVar("submitted_at_ms", default=None)


def work_for_query_of(submitted_at: datetime) -> None:
    """What this task, and those that it starts, ask of engines from now on is for a query of that time."""
    _submitted_at_ms.set(max(0, round(submitted_at.timestamp() * 1_000)))


def submitted_at_ms() -> int | None:
    """Milliseconds since 1970 of the query that is worked for; None where there is none."""
    return _submitted_at_ms.get()
