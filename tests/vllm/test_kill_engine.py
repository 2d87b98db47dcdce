"""A worker, or its vLLM's engine core, is killed or stopped in mid-auction: nothing is lost, doubled or left behind."""

import json
from pathlib import Path

import psutil
import pytest

from schemas.topics import GENERATED, SCORED, SETTLED, Topic
from tests.support.kafka_client import DEAD_LETTERS, Reader, of, produce
from tests.support.worker_process import WorkerProcess, tessera
from tests.vllm.stages import on_vllm, processes_of, queries
from workers.engines.vllm_local.heartbeat import SILENT_S

pytestmark = [pytest.mark.vllm, pytest.mark.kafka]

QUERIES = 40
WITHIN_S = 400.0
NOTICED_S = 60.0
FAILED = 70
#: The stage that loses its engine, what it publishes, and who runs the others.
VICTIMS: dict[str, tuple[Topic, tuple[str, ...]]] = {
    "generation": (GENERATED, ("scoring", "settlement")),
    "scoring": (SCORED, ("generation", "settlement")),
}


@pytest.mark.parametrize(
    ("victim", "harm", "says"),
    [
        ("generation", "kill", "engine core is gone"),
        ("scoring", "kill", "engine core is gone"),
        ("generation", "suspend", f"has not answered for {SILENT_S:g} s"),  # it is there, and does nothing
    ],
)
def test_a_worker_whose_engine_core_is_killed_or_stopped_exits_without_losing_a_query(
    topics: str, tmp_path: Path, victim: str, harm: str, says: str
) -> None:
    output, others = VICTIMS[victim]
    asked = queries(QUERIES, candidates=16, max_tokens=60)
    others_running = WorkerProcess(others, topics, tmp_path / "others.log", engine="embedded", deadline_s=900)
    worker = on_vllm([victim], topics, tmp_path / "killed.log")
    try:
        with Reader(topics) as reader:
            # Given auctions in work on vLLM
            others_running.until_ready()
            worker.until_ready()
            produce(topics, [(id_.encode(), query, ()) for id_, query in asked.items()])
            reader.until(lambda messages: of(messages, output.name) != [], WITHIN_S)

            # When its engine core dies, or is stopped
            started = processes_of(worker)
            (core,) = [process for process in started if "EngineCore" in " ".join(process.cmdline())]
            getattr(core, harm)()

            # Then the worker ends and asks for a successor, before it has committed everything, and leaves nothing
            assert worker.process.wait(SILENT_S + NOTICED_S) == FAILED, worker.output()
            assert says in worker.output() and "start it again" in worker.output()
            assert psutil.wait_procs(started, timeout=20)[1] == []
            done = [message.key() for message in of(reader.rest(), output.name)]
            assert 0 < len(set(done)) == len(done) < QUERIES, "the kill came too late to prove anything"

            # And a successor finishes: every query has one reply, and nothing is doubled
            worker = on_vllm([victim], topics, tmp_path / "successor.log").until_ready()
            reader.until(lambda messages: len(of(messages, SETTLED.name, *DEAD_LETTERS)) >= QUERIES, WITHIN_S)
            messages = reader.rest()
    finally:
        codes = [process.stop() for process in (worker, others_running)]
    assert codes == [0, 0]
    settled = [json.loads(message.value()) for message in of(messages, SETTLED.name)]
    assert sorted(reply["query_id"] for reply in settled) == sorted(asked)
    assert {reply["outcome"] for reply in settled} == {"sold"}
    assert sorted(message.key().decode() for message in of(messages, output.name)) == sorted(asked)
    verified = tessera("verify", "--complete", "--json", kafka=topics)
    assert verified.returncode == 0, verified.stdout.decode()


def test_an_engine_core_does_not_outlive_a_worker_that_is_killed(topics: str, tmp_path: Path) -> None:
    """It would keep the GPU's memory, and no successor could load the model."""
    with on_vllm(["generation"], topics, tmp_path / "killed.log").until_ready() as worker:
        started = processes_of(worker)
        assert any("EngineCore" in " ".join(process.cmdline()) for process in started)

        worker.kill()

        assert psutil.wait_procs(started, timeout=20)[1] == []
