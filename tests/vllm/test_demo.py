"""`tessera demo` and `tessera doctor` on vLLM, and what ends a process while the model loads."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.engines import bundled
from tests.support.vllm_server import VllmServer
from tests.support.worker_process import environment, tessera

pytestmark = pytest.mark.vllm

LOADS_WITHIN_S = 400.0
ENDS_WITHIN_S = 60.0
INTERRUPTED = 130


def test_the_demo_settles_on_vllm() -> None:
    arguments = ("demo", "--engine", bundled.VLLM, "--limit", "3", "--candidates", "4", "--json")
    done = tessera(*arguments, timeout_s=LOADS_WITHIN_S)

    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["data"]["outcome"] for event in events if event["type"].endswith("reply.settled.v1")] == ["sold"] * 3


def test_the_doctor_finds_nothing_wrong() -> None:
    done = tessera("doctor", "--engine", bundled.VLLM, "--json", timeout_s=LOADS_WITHIN_S)

    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    found = {row["check"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert "vllm" in found["software"]["said"] and "model runner" in found["calls"]["said"]
    assert found["log-probabilities"]["state"] == "ok"
    assert b"FutureWarning" not in done.stderr


def test_demo_and_doctor_on_a_server(vllm_server: VllmServer) -> None:
    given = {"engine_tokenizer": bundled.FOLDER, "timeout_s": LOADS_WITHIN_S}
    demo = tessera("demo", "--engine", vllm_server.name, "--limit", "2", "--candidates", "4", **given)
    doctor = tessera("doctor", "--engine", vllm_server.name, "--json", **given)

    assert demo.returncode == 0 and b"2 queries: 2 sold" in demo.stdout, demo.stderr.decode()
    assert doctor.returncode == 0, doctor.stdout.decode() + doctor.stderr.decode()
    found = {row["check"]: row for row in map(json.loads, doctor.stdout.splitlines())}
    assert "/v1/completions" in found["calls"]["said"] and found["log-probabilities"]["state"] == "ok"


def test_a_wrong_model_folder_is_one_line_within_seconds() -> None:
    began = time.monotonic()
    done = tessera("demo", "--engine", "vllm:/no/such/folder")

    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert b"there is no folder /no/such/folder" in done.stderr
    assert time.monotonic() - began < ENDS_WITHIN_S


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupting_a_load_leaves_no_process(sent: signal.Signals) -> None:
    """SIGINT as from a terminal: to every process of the group."""
    command = [sys.executable, "-m", "workers", "demo", "--engine", bundled.VLLM]
    with subprocess.Popen(
        command, env=environment("127.0.0.1:1"), stderr=subprocess.PIPE, start_new_session=True
    ) as demo:
        # Given vLLM about to load: its engine core has started
        started = _until_engine_core(demo.pid)

        # When the user has enough
        os.killpg(demo.pid, sent) if sent == signal.SIGINT else demo.send_signal(sent)

        # Then that is all, soon
        _, said = demo.communicate(timeout=ENDS_WITHIN_S)
    assert demo.returncode == (INTERRUPTED if sent == signal.SIGINT else -sent), said.decode()
    assert b"Traceback" not in said, said.decode()
    assert psutil.wait_procs(started, timeout=20)[1] == []


def test_a_worker_stopped_while_its_model_loads_leaves_no_process() -> None:
    command = [sys.executable, "-m", "workers", "run", "scoring", "--engine", bundled.VLLM]
    with subprocess.Popen(command, env=environment("127.0.0.1:1"), stderr=subprocess.PIPE) as worker:
        started = _until_engine_core(worker.pid)
        worker.terminate()
        _, said = worker.communicate(timeout=ENDS_WITHIN_S)

    assert worker.returncode == 0, said.decode()
    assert b"stopping" in said and b"Traceback" not in said, said.decode()
    assert psutil.wait_procs(started, timeout=20)[1] == []


def _until_engine_core(pid: int) -> list[psutil.Process]:
    """All that it has started, once a process is there that loads vLLM again."""
    deadline = time.monotonic() + LOADS_WITHIN_S
    while True:
        started = psutil.Process(pid).children(recursive=True)
        with contextlib.suppress(psutil.NoSuchProcess):
            if any("spawn_main" in " ".join(process.cmdline()) for process in started):
                return started
        assert time.monotonic() < deadline
        time.sleep(0.1)
