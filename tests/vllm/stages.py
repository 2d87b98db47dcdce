"""Workers with vLLM as processes of their own, and what the tests ask them."""

import json
import uuid
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.engines import bundled
from tests.support.worker_process import WorkerProcess

LOADS_WITHIN_S = 400.0  # two at once on two busy cores
ADVERTISERS = [
    {"advertiser_id": name.lower(), "name": name, "description": does, "value_micros_per_nat": 1_000}
    for name, does in (("OvenNest", "selling baking ingredients"), ("CrumbWorks", "a maker of kitchen tools"))
]
ON_VLLM = {
    "engine": bundled.VLLM,
    "vllm_max_num_seqs": bundled.OPTIONS.vllm.max_num_seqs,
    "vllm_max_num_batched_tokens": bundled.OPTIONS.vllm.max_num_batched_tokens,
    "session_timeout_s": 10,
    "deadline_s": 900,
    "in_flight": 2,
}


def on_vllm(stages: Sequence[str], kafka: str, log: Path) -> WorkerProcess:
    """Stages on the bundled model in vLLM, about to load it."""
    return WorkerProcess(stages, kafka, log, start_s=LOADS_WITHIN_S, **ON_VLLM)


def queries(count: int, **parameters: int) -> dict[str, bytes]:
    """Queries by their new ids."""
    run = uuid.uuid4().hex[:8]
    return {f"vllm-{run}-{number}": _query(f"vllm-{run}-{number}", parameters) for number in range(count)}


def processes_of(worker: WorkerProcess) -> list[psutil.Process]:
    """What it has started."""
    return psutil.Process(worker.process.pid).children(recursive=True)


def _query(query_id: str, parameters: dict[str, int]) -> bytes:
    body = {"query_id": query_id, "text": "How do I bake cookies?", "advertising_consent": True}
    body |= {"advertisers": ADVERTISERS}
    return json.dumps({**body, "parameters": parameters}).encode()
