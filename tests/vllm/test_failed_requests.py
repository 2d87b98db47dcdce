"""A request on which vLLM fails: its own fault only where vLLM lives and answers others."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engines import bundled
from workers.errors import EngineGone, EngineRejected, EngineUnavailable

pytestmark = pytest.mark.vllm

PROMPT = (1, 3, 40)


class FailingLlm:
    """Fails on the prompt above, and on a request of one token as told."""

    vllm_config = SimpleNamespace(use_v2_model_runner=True)

    def __init__(self, health: Exception | None, answer: Exception | None) -> None:
        self._health, self._answer = health, answer

    async def check_health(self) -> None:
        if self._health:
            raise self._health

    async def generate(self, prompt: Any, *_: Any, **__: Any) -> AsyncIterator[Any]:
        from vllm.v1.engine.exceptions import EngineGenerateError

        if len(prompt["prompt_token_ids"]) > 1:
            raise EngineGenerateError from RuntimeError("cannot be detokenised")
        if self._answer:
            raise self._answer
        yield SimpleNamespace()


@pytest.mark.parametrize(
    ("health", "answer", "means", "says"),
    [
        (None, None, EngineRejected, "on no other: cannot be detokenised"),
        (None, "EngineGenerateError", EngineGone, "this process cannot get another"),
        (None, "EngineDeadError", EngineGone, "this process cannot get another"),
        (None, "QueueOverflowError", EngineUnavailable, "does not take another"),
        ("EngineDeadError", None, EngineGone, "this process cannot get another"),
    ],
)
async def test_a_failed_request_is_attributed_to_its_input_or_to_the_engine(
    health: str | None, answer: str | None, means: type[Exception], says: str
) -> None:
    bundled.need_vllm()
    from vllm import exceptions
    from vllm.v1.engine import exceptions as of_engine

    from workers.engines.vllm_local.core import Core
    from workers.engines.vllm_local.requests import drawing
    from workers.engines.vllm_local.scheduling import Scheduler

    def raised(name: str | None) -> Exception | None:
        return None if name is None else (getattr(of_engine, name, None) or getattr(exceptions, name))()

    llm: Any = FailingLlm(raised(health), raised(answer))
    guard: Any = None
    with pytest.raises(means, match=says):
        await Core(llm, 5.0, guard, turns := Scheduler(2)).run(PROMPT, drawing(7, 3), turns.drawing(), None)
