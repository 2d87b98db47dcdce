"""Two processes with one TESSERA_INSTANCE take each other's partitions: exactly one ends, and names the setting."""

import time
from pathlib import Path

import pytest

from tests.support.worker_process import WorkerProcess

STAGES = ["generation", "incentives"]
SESSION_S = 3
OLDER_BY_S = 2.5 * SESSION_S  # than a newcomer
SURVIVES_S = 3 * SESSION_S
ENDS_WITHIN_S = 90.0
POLL_S = 0.1


def twin(topics: str, log: Path) -> WorkerProcess:
    return WorkerProcess(STAGES, topics, log, instance="twin", session_timeout_s=SESSION_S)


def ended(twins: list[WorkerProcess]) -> list[WorkerProcess]:
    return [one for one in twins if one.process.poll() is not None]


@pytest.mark.kafka
@pytest.mark.parametrize("later", [False, True])
def test_of_two_processes_with_the_same_instance_one_exits_with_2_and_the_other_goes_on(
    later: bool, topics: str, tmp_path: Path
) -> None:
    twins = [twin(topics, tmp_path / "first.log")]
    try:
        if later:
            twins[0].until_ready()
            time.sleep(OLDER_BY_S)
        twins.append(twin(topics, tmp_path / "second.log"))
        deadline = time.monotonic() + ENDS_WITHIN_S
        while not ended(twins):
            assert time.monotonic() < deadline, [one.output() for one in twins]
            time.sleep(POLL_S)
        time.sleep(SURVIVES_S)
        (gone,) = ended(twins)
        assert gone.process.returncode == 2, gone.output()
        said = gone.output().splitlines()[-1]
        assert said.startswith("tessera: another process runs the same stage as 'twin' (TESSERA_INSTANCE")
        assert "a name of its own" in said
        assert gone is twins[1] or not later, "the one that came later gives way"
        (survivor,) = set(twins) - {gone}
        survivor.until_ready()
    finally:
        for one in twins:
            one.kill()
