"""A vLLM server on this machine: the CPU time that one scoring request costs the worker.

In vLLM's environment: `.venv-vllm/bin/python -m pytest -m 'vllm and benchmark' -s tests/benchmarks/test_http_speed.py`.
"""

import time
from statistics import median

import pytest

from tests.benchmarks.report import Scale
from workers.engines.base import Engine, Reply

pytestmark = pytest.mark.vllm

TOKENS, REPLY_TOKENS = 190, 60  # of a request, of them the reply's


async def test_the_workers_cpu_per_scoring(scale: Scale, http_engine: Engine) -> None:
    """CPU time of this process; the server is another one."""
    rounds, scorings = scale((5, 100), (1, 2))
    prompt = tuple(5 + index % 2_000 for index in range(TOKENS - REPLY_TOKENS))
    replies = [
        Reply(tuple(5 + (7 * n + k) % 2_000 for k in range(REPLY_TOKENS)), "", 0.0, False) for n in range(scorings)
    ]
    await http_engine.log_probs(prompt, replies)
    spent_ms = []
    for _ in range(rounds):
        began = time.process_time()
        await http_engine.log_probs(prompt, replies)
        spent_ms.append((time.process_time() - began) * 1_000 / scorings)
    scale.report(
        "http-front-end", [{"tokens": TOKENS, "CPU ms per scoring (median)": median(spent_ms), "best": min(spent_ms)}]
    )
