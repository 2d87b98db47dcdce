"""Two processes with one TESSERA_INSTANCE take each other's partitions: one of them ends and names the setting."""

import time
from pathlib import Path

import pytest

from tests.worker_process import WorkerProcess

ENDS_WITHIN_S = 90.0
POLL_S = 0.1


@pytest.mark.kafka
def test_the_same_instance_twice_ends_one_of_them_with_2(topics: str, tmp_path: Path) -> None:
    logs = [tmp_path / f"{number}.log" for number in range(2)]
    twins = [WorkerProcess(["incentives"], topics, log, instance="twin", session_timeout_s=2) for log in logs]
    try:
        deadline = time.monotonic() + ENDS_WITHIN_S
        while not (ended := [twin for twin in twins if twin.process.poll() is not None]):
            assert time.monotonic() < deadline, [twin.output() for twin in twins]
            time.sleep(POLL_S)
        assert {twin.process.returncode for twin in ended} == {2}, ended[0].output()
        said = ended[0].output().splitlines()[-1]
        assert said.startswith("tessera: another process runs the same stage as 'twin' (TESSERA_INSTANCE")
        assert "a name of its own" in said
    finally:
        for twin in twins:
            twin.kill()
