"""An engine that is asked again when it gave no answer in time: a few times, with growing, jittered pauses."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import Embedder, Engine, Prompt, Reply, Scorer
from workers.engines.contact import engine_answered, engine_asked
from workers.errors import EngineTimeout, RetriesExhausted

T = TypeVar("T")

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
