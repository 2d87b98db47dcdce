"""An engine that is late is asked again, a few times; any other error is not the wrapper's to judge."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from workers.engines import calls
from workers.engines.base import Prompt, Reply
from workers.engines.calls import PAUSES_S, Retrying
from workers.engines.null import NullEngine
from workers.errors import EngineRejected, EngineTimeout, EngineUnavailable, RetriesExhausted

ALL = len(PAUSES_S) + 1


class Lazy(NullEngine):
    """It fails so many times, then answers."""

    def __init__(self, failures: int, error: Exception) -> None:
        super().__init__()
        self.failures, self.error, self.calls = failures, error, 0

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        self._fail()
        return await super().sample(prompt, seeds=seeds, max_tokens=max_tokens)

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> Any:
        self._fail()
        return await super().log_probs(prompt, replies)

    def _fail(self) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest each pause could have been; none is waited for."""
    drawn: list[float] = []

    def uniform(least: float, most: float) -> float:
        drawn.append(most)
        return 0.0

    monkeypatch.setattr(random, "uniform", uniform)
    return drawn


@pytest.mark.parametrize("failures", range(ALL))
async def test_a_late_engine_is_asked_again_with_the_same_seeds(failures: int, pauses: list[float]) -> None:
    late = Lazy(failures, EngineTimeout("late"))
    prompt = late.encode("How?")

    replies = await Retrying(late).sample(prompt, seeds=[7, 8], max_tokens=5)

    assert replies == await NullEngine().sample(prompt, seeds=[7, 8], max_tokens=5)
    assert (late.calls, pauses) == (failures + 1, list(PAUSES_S[:failures]))


async def test_retries_end_after_a_fixed_number_of_attempts(pauses: list[float]) -> None:
    late = Lazy(ALL, EngineTimeout("no answer within 2 s"))

    with pytest.raises(RetriesExhausted, match=f"in {ALL} attempts; the last: no answer within 2 s"):
        await Retrying(late).log_probs(late.encode("How?"), ())
    assert late.calls == ALL


@pytest.mark.parametrize("error", [EngineUnavailable("down"), EngineRejected("too long"), ValueError("bug")])
async def test_errors_other_than_a_timeout_are_not_retried(error: Exception) -> None:
    late = Lazy(1, error)

    with pytest.raises(type(error)):
        await Retrying(late).log_probs(late.encode("How?"), ())
    assert late.calls == 1


async def test_the_callers_deadline_holds_for_all_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PAUSES_S", (60.0,) * 3)
    monkeypatch.setattr(random, "uniform", lambda least, most: most)
    late = Lazy(ALL, EngineTimeout("late"))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await Retrying(late).log_probs(late.encode("How?"), ())
    assert late.calls == 1
