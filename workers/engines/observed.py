"""An engine whose calls are counted: how each ended, and how many tokens of replies were drawn or scored."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import Engine, Prompt, Reply
from workers.errors import EngineError, EngineGone, EngineRejected, EngineTimeout, EngineUnavailable

Verb = Literal["sample", "log_probs"]


class EngineResult(StrEnum):
    """How a call ended; the value is a metric label."""

    ANSWERED = "answered"
    REJECTED = "rejected"  # the model cannot take the prompt or a reply
    TIMED_OUT = "timed_out"
    DOWN = "down"
    FAILED = "failed"  # any other error, or the call was cancelled


RESULTS = {
    EngineRejected: EngineResult.REJECTED,
    EngineTimeout: EngineResult.TIMED_OUT,
    EngineUnavailable: EngineResult.DOWN,
    EngineGone: EngineResult.DOWN,
}


class EngineObserver(Protocol):
    """`engine` is its name in the settings."""

    def engine_asked(self, engine: str, verb: Verb, result: EngineResult, tokens: int) -> None:
        """A call ended; `tokens` of replies were drawn or scored in it, 0 where it failed."""


class _Observed:
    """Everything else is the engine's own."""

    def __init__(self, engine: Engine, name: str, observer: EngineObserver) -> None:
        self._engine, self._name, self._observer = engine, name, observer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        with self._failures_told("sample"):
            replies = await self._engine.sample(prompt, seeds=seeds, max_tokens=max_tokens)
        self._answered("sample", replies)
        return replies

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        with self._failures_told("log_probs"):
            scores = await self._engine.log_probs(prompt, replies)
        self._answered("log_probs", replies)
        return scores

    @contextmanager
    def _failures_told(self, verb: Verb) -> Iterator[None]:
        try:
            yield
        except EngineError as error:
            self._observer.engine_asked(self._name, verb, RESULTS.get(type(error), EngineResult.FAILED), 0)
            raise
        except BaseException:  # cancelled, or a bug: whoever asked is told as before
            self._observer.engine_asked(self._name, verb, EngineResult.FAILED, 0)
            raise

    def _answered(self, verb: Verb, replies: Sequence[Reply]) -> None:
        tokens = sum(len(reply.token_ids) for reply in replies)
        self._observer.engine_asked(self._name, verb, EngineResult.ANSWERED, tokens)


def observed(engine: Engine, name: str, observer: EngineObserver) -> Engine:
    """The engine itself, whose `sample` and `log_probs` tell the observer. `name`: as in the settings."""
    return cast(Engine, _Observed(engine, name, observer))
