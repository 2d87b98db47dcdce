"""An engine whose faults are written down by the test, and a clock that stands still."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from schemas import auction
from tests.support.builders import SUBMITTED_AT
from workers.engines.base import Limits, Prompt, Reply, Scorer
from workers.engines.null import NullEngine


@dataclass
class Clock:
    """The moment a worker believes it is."""

    moment: datetime = SUBMITTED_AT + timedelta(seconds=1)

    def __call__(self) -> datetime:
        return self.moment


def drawn_by(engine: Scorer) -> auction.Engine:
    """As an event names the engine that its candidates come from."""
    return engine.identity.in_event()


class Hang:
    """A fault: no answer, ever."""

    async def __call__(self) -> None:
        await asyncio.Event().wait()


@dataclass
class Calls:
    """What the engine was asked."""

    sampled: list[tuple[str, tuple[int, ...], int]] = field(default_factory=list)  # turn, seeds, max_tokens
    scored: list[str] = field(default_factory=list)  # turns


class FaultyEngine(NullEngine):
    """The null engine; a call whose turn contains one of the words of `faults` fails as written there.

    A fault is an exception to raise, `Hang`, or a number that takes the place of every log-probability.
    """

    def __init__(self, faults: Mapping[str, Exception | Hang | float] | None = None, *, context: int = 65_536) -> None:
        super().__init__()
        self.faults = dict(faults or {})
        self.limits = Limits(self.limits.vocabulary, context)
        self.calls = Calls()
        self._turns: dict[Prompt, str] = {}

    def encode(self, turn: str) -> Prompt:
        prompt = super().encode(turn)
        self._turns[prompt] = turn
        return prompt

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        self.calls.sampled.append((self._turns[prompt], tuple(seeds), max_tokens))
        await self._fail(prompt)
        return await super().sample(prompt, seeds=seeds, max_tokens=max_tokens)

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        self.calls.scored.append(self._turns[prompt])
        fault = await self._fail(prompt)
        scores = await super().log_probs(prompt, replies)
        if fault is not None:
            scores[len(scores) // 2] = fault
        return scores

    async def _fail(self, prompt: Prompt) -> float | None:
        for word, fault in self.faults.items():
            if word in self._turns[prompt]:
                if isinstance(fault, Exception):
                    raise fault
                if isinstance(fault, Hang):
                    await fault()
                else:
                    return fault
        return None
