"""Around the calls of an engine: the time they have, whose auction they are for, several as one, and repetition.

An engine that gave no answer in time is asked again a few times, with growing, jittered pauses; if it let a deadline
pass, one token of a short question tells whether it answers anybody. How long the auction has waited is said once by
whoever works on it and known to every call made for it, so that an engine with a queue serves the older first.
"""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar, copy_context
from datetime import datetime, timedelta
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import Embedder, Engine, Prompt, Reply, Scorer
from workers.engines.contact import engine_answered, engine_asked
from workers.errors import EngineRejected, EngineTimeout, EngineUnavailable, RetriesExhausted

T = TypeVar("T")

QUESTION = "Are you there?"
ANSWERS_WITHIN = timedelta(seconds=5)


async def require_answer(engine: Engine) -> None:
    """EngineUnavailable: not even that within ANSWERS_WITHIN, so that it was not the question that was too much."""
    try:
        async with within(ANSWERS_WITHIN):
            await engine.sample(engine.encode(QUESTION), seeds=[0], max_tokens=1)
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
        await all_of(require_answer(engine) for engine in engines)
        raise


_received_at_ms: ContextVar[int | None] = ContextVar("received_at_ms", default=None)


def work_for_query_of(received_at: datetime) -> None:
    """What this task, and those that it starts, ask of engines from now on is for a query of that time.

    The time is a clock's of ours: a stranger who could choose it would be served first for ever.
    """
    _received_at_ms.set(max(0, round(received_at.timestamp() * 1_000)))


def received_at_ms() -> int | None:
    """Milliseconds since 1970 of the query that is worked for; None where there is none."""
    return _received_at_ms.get()


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


async def all_of(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Their results in order. The first error ends the others and is raised as it is, not in an ExceptionGroup."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


PAUSES_S = (0.5, 2.0, 8.0)  # the longest before each repetition; the pause is drawn from 0 on (full jitter)


class RetryingScorer:
    """`scorer`, with its time-outs retried. The caller's deadline holds for all attempts together."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.identity, self.limits = scorer.identity, scorer.limits

    def encode(self, turn: str) -> Prompt:
        return self._scorer.encode(turn)

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        return await _repeated(lambda: self._scorer.log_probs(prompt, replies))


class Retrying(RetryingScorer):
    """`engine`, with its time-outs retried.

    Seeds are arguments, so a repetition draws what the first attempt would have drawn.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.wrapped, self.seed_scope = engine, engine.seed_scope

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        return await _repeated(lambda: self.wrapped.sample(prompt, seeds=seeds, max_tokens=max_tokens))

    def adapter(self, name: str) -> Scorer:
        return RetryingScorer(self.wrapped.adapter(name))

    async def close(self) -> None:
        await self.wrapped.close()


class RetryingEmbedder:
    """`embedder`, with its time-outs retried."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.identity, self.limits, self.dimensions = embedder.identity, embedder.limits, embedder.dimensions

    def encode(self, turn: str) -> Prompt:
        return self._embedder.encode(turn)

    async def embed(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        return await _repeated(lambda: self._embedder.embed(prompt, replies))

    async def close(self) -> None:
        await self._embedder.close()


def embedder_of(engine: Engine) -> Embedder | None:
    """The engine as one that embeds, its time-outs retried; None where it does not."""
    inner = engine.wrapped if isinstance(engine, Retrying) else engine
    return RetryingEmbedder(inner) if isinstance(inner, Embedder) else None


async def _asked(call: Callable[[], Awaitable[T]]) -> T:
    engine_asked()
    answer = await call()
    engine_answered()
    return answer


async def _repeated(call: Callable[[], Awaitable[T]]) -> T:
    """The answer. RetriesExhausted: none in time, in all attempts."""
    for pause_s in PAUSES_S:
        try:
            return await _asked(call)
        except EngineTimeout:
            await asyncio.sleep(random.uniform(0, pause_s))  # noqa: S311  # jitter
    try:
        return await _asked(call)
    except EngineTimeout as error:
        raise RetriesExhausted(
            f"the engine gave no answer in {len(PAUSES_S) + 1} attempts; the last: {error}"
        ) from error
