"""Whether an engine that let a deadline pass answers anybody: one token of a short question tells."""

from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import TypeVar

from workers.engines.all_of import all_of
from workers.engines.base import Engine
from workers.engines.deadline import within
from workers.engines.prompts import reference_turn
from workers.errors import EngineRejected, EngineTimeout, EngineUnavailable, RetriesExhausted

T = TypeVar("T")

QUESTION = "Are you there?"
ANSWERS_WITHIN = timedelta(seconds=5)


async def insist_answer(engine: Engine) -> None:
    """EngineUnavailable: not even that within ANSWERS_WITHIN, so that it was not the question that was too much."""
    try:
        async with within(ANSWERS_WITHIN):
            await engine.sample(engine.encode(reference_turn(QUESTION)), seeds=[0], max_tokens=1)
    except (EngineTimeout, RetriesExhausted) as error:
        raise EngineUnavailable(
            f"the engine {engine.identity.name} let a deadline pass, and then draws no token within "
            f"{ANSWERS_WITHIN.total_seconds():g} s: it hangs, or has far too much to do"
        ) from error
    except EngineRejected:
        return  # an answer


async def despite_outages(attempt: Callable[[], Awaitable[T]], engines: Collection[Engine]) -> T:
    """What `attempt` gives within a time that is ours and that no query stated: an outage is not the query's fault.

    When the time is over, EngineUnavailable: an engine answers nobody, so the query waits as for one that is down.
    Where all answer, one may have been silent until a moment ago: the attempt is made once more, its errors count.
    """
    try:
        return await _unless_silent(attempt, engines)
    except (EngineTimeout, RetriesExhausted):
        return await _unless_silent(attempt, engines)


async def _unless_silent(attempt: Callable[[], Awaitable[T]], engines: Collection[Engine]) -> T:
    try:
        return await attempt()
    except (EngineTimeout, RetriesExhausted):
        await all_of(insist_answer(engine) for engine in engines)
        raise
