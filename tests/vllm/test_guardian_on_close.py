"""However vLLM's own end goes, its processes' guardian ends them."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.engines import bundled

pytestmark = pytest.mark.vllm


class Guard:
    """Notes its orders."""

    def __init__(self) -> None:
        self.orders: list[str] = []

    def end(self) -> None:
        self.orders.append("end")

    def close(self) -> None:
        self.orders.append("close")


class BrokenLlm:
    """Cannot be shut down."""

    vllm_config = SimpleNamespace(use_v2_model_runner=True)
    output_handler = None

    def shutdown(self, timeout: float) -> None:
        raise RuntimeError("a socket is gone")


async def test_the_guard_is_closed_though_vllm_fails_to_end() -> None:
    bundled.need_vllm()
    from workers.engines.vllm_local.core import Core
    from workers.engines.vllm_local.scheduling import Scheduler

    llm: Any = BrokenLlm()
    guard: Any = Guard()
    core = Core(llm, 5.0, guard, Scheduler(2))

    with pytest.raises(RuntimeError, match="a socket is gone"):
        await core.close()

    assert guard.orders == ["close"]
    await core.close()  # the second time, there is nothing to do
