"""A time limit around calls of an engine, and what is left of it for those inside."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar, copy_context
from datetime import timedelta

from workers.errors import EngineTimeout

_end_s: ContextVar[float] = ContextVar("end_s", default=math.inf)  # by the event loop's clock


@asynccontextmanager
async def within(limit: timedelta) -> AsyncIterator[None]:
    """Cancel what is awaited inside after `limit` and raise EngineTimeout; where none is left, nothing is begun."""
    seconds = limit.total_seconds()
    if seconds <= 0:
        raise EngineTimeout("no time is left")
    before = _end_s.set(min(_end_s.get(), asyncio.get_running_loop().time() + seconds))
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise EngineTimeout(f"no answer within {seconds:.3f} s") from error
    finally:
        _end_s.reset(before)


def seconds_left() -> float:
    """Until the first of the limits around this call; infinite where there is none."""
    return max(0.0, _end_s.get() - asyncio.get_running_loop().time())


def without_limits() -> Context:
    """This task's context but for the limits around it: for a task that they are not to end."""
    context = copy_context()
    context.run(_end_s.set, math.inf)
    return context
