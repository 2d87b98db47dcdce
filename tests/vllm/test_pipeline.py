"""From Kafka to the bill with vLLM in the workers: every query settled once, and the audit finds nothing."""

import json
import signal
from pathlib import Path

import pytest

from schemas.topics import CHARGED, SCORED, SETTLED
from tests.support.kafka_client import DEAD_LETTERS, Reader, of, produce
from tests.support.worker_process import WorkerProcess, tessera
from tests.vllm.stages import on_vllm, processes_of, queries

pytestmark = [pytest.mark.vllm, pytest.mark.kafka]

QUERIES = 20
WITHIN_S = 300.0


def test_twenty_queries_settle_on_vllm(topics: str, tmp_path: Path) -> None:
    # Given each stage in a process of its own, two of them with vLLM
    asked = queries(QUERIES, candidates=8, max_tokens=40)
    workers = [on_vllm([stage], topics, tmp_path / f"{stage}.log") for stage in ("generation", "scoring")]
    workers.append(WorkerProcess(["settlement"], topics, tmp_path / "settlement.log"))
    try:
        for worker in workers:
            worker.until_ready()
        # (A Ctrl-C in the terminal reaches vLLM's processes too: they go on until the worker is through.)
        for process in [process for worker in workers for process in processes_of(worker)]:
            process.send_signal(signal.SIGINT)
        with Reader(topics) as reader:
            # When queries come
            produce(topics, [(id_.encode(), query, ()) for id_, query in asked.items()])
            reader.until(lambda messages: len(of(messages, SETTLED.name, *DEAD_LETTERS)) >= QUERIES, WITHIN_S)
            messages = reader.rest()
    finally:
        codes = [worker.stop() for worker in workers]

    # Then each is sold once, with its charges, and by vLLM
    settled = [json.loads(message.value()) for message in of(messages, SETTLED.name)]
    scored = [json.loads(message.value()) for message in of(messages, SCORED.name)]
    charged = sorted(json.loads(message.value())["charge_id"] for message in of(messages, CHARGED.name))
    assert codes == [0, 0, 0]
    assert sorted(reply["query_id"] for reply in settled) == sorted(asked)
    assert {reply["outcome"] for reply in settled} == {"sold"}
    assert charged == sorted(charge_id for reply in settled for charge_id in reply["charge_ids"])
    assert {event["engine"]["version"].split()[0] for event in scored} == {"vllm"}
    assert not of(messages, *DEAD_LETTERS)

    # And whoever recomputes the log agrees
    audited = tessera("audit", "--grace", "0", "--json", kafka=topics)
    assert audited.returncode == 0, audited.stdout.decode()
    verified = tessera("verify", "--complete", "--json", kafka=topics)
    assert verified.returncode == 0, verified.stdout.decode()
