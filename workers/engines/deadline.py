"""A time limit around calls of an engine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from workers.errors import EngineTimeout


@asynccontextmanager
async def within(limit: timedelta) -> AsyncIterator[None]:
    """Cancel what is awaited inside after `limit` and raise EngineTimeout."""
    seconds = max(0.0, limit.total_seconds())
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise EngineTimeout(f"no answer within {seconds:.3f} s") from error
