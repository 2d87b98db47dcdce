"""How long the auction has waited that an engine works for: an engine with a queue serves the older first.

Said once by whoever works on an auction, and known to every call made for it: candidates, reference, bids, repetitions.
"""

from contextvars import ContextVar
from datetime import datetime

_received_at_ms: ContextVar[int | None] = ContextVar("received_at_ms", default=None)


def work_for_query_of(received_at: datetime) -> None:
    """What this task, and those that it starts, ask of engines from now on is for a query of that time.

    The time is a clock's of ours: a stranger who could choose it would be served first for ever.
    """
    _received_at_ms.set(max(0, round(received_at.timestamp() * 1_000)))


def received_at_ms() -> int | None:
    """Milliseconds since 1970 of the query that is worked for; None where there is none."""
    return _received_at_ms.get()
