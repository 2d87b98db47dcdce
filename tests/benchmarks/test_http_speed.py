"""A vLLM server on this machine: the CPU time that one scoring request costs the worker.

In vLLM's environment: `.venv-vllm/bin/python -m pytest -m 'vllm and benchmark' -s tests/benchmarks/test_http_speed.py`.
"""

import time
from statistics import median

import pytest

from tests.benchmarks.report import report
from workers.engines.base import Engine, Reply

pytestmark = [pytest.mark.benchmark, pytest.mark.vllm]

ROUNDS = 5
TOKENS, REPLY_TOKENS, SCORINGS = 190, 60, 100  # of a request, of them the reply's, and how many requests in a round


async def test_the_workers_cpu_per_scoring(http_engine: Engine) -> None:
    """CPU time of this process; the server is another one."""
    prompt = tuple(5 + index % 2_000 for index in range(TOKENS - REPLY_TOKENS))
    replies = [
        Reply(tuple(5 + (7 * n + k) % 2_000 for k in range(REPLY_TOKENS)), "", 0.0, False) for n in range(SCORINGS)
    ]
    await http_engine.log_probs(prompt, replies)
    spent_ms = []
    for _ in range(ROUNDS):
        began = time.process_time()
        await http_engine.log_probs(prompt, replies)
        spent_ms.append((time.process_time() - began) * 1_000 / SCORINGS)
    report(
        "http-front-end", [{"tokens": TOKENS, "CPU ms per scoring (median)": median(spent_ms), "best": min(spent_ms)}]
    )
