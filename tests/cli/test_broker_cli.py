"""`tessera broker` and `tessera topics` as a user runs them: real processes, their output and their exit codes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support import forked_command
from workers.devkafka import DevelopmentBroker
from workers.devkafka.jars import kafka_version
from workers.devkafka.ports import free_port
from workers.pipeline import GROUPS
from workers.settings import Settings
from workers.stream.admin.plans import planned_topics

TOPICS = len(planned_topics(Settings.read()))
REPOSITORY = Path(__file__).parents[2]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tessera(tmp_path: Path) -> Iterator[Command]:
    """Runs a command with a home of its own; a broker it left behind is stopped."""
    home = {"XDG_STATE_HOME": str(tmp_path / "state"), "TESSERA_ALLOW_PLAINTEXT": "true"}

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-X", "dev", "-m", "workers", *words]
        env = {name: value for name, value in os.environ.items() if not name.startswith("TESSERA_")}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=180, cwd=REPOSITORY, env=env | home | variables
        )

    yield run
    if (tmp_path / "state").exists():
        run("broker", "stop")


def runs(pid: int) -> bool:
    """A zombie that nobody has collected yet does not run."""
    return bool(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


def rows(ended: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture
def started(session_broker: DevelopmentBroker, tessera: Command) -> dict[str, Any]:
    """A broker that a command started. (The session's broker: Java is there, and the jars are.)"""
    ended = tessera("broker", "start", "--port", str(free_port()), "--json")
    assert ended.stderr == f"starting Kafka {kafka_version()}\n"
    (row,) = rows(ended)
    return row


@pytest.mark.kafka
def test_the_broker_outlives_its_command_and_is_stopped_once(tessera: Command, started: dict[str, Any]) -> None:
    # Given a broker that runs after the command that started it has ended
    pid = started["pid"]
    assert started["state"] == "started" and runs(pid)
    # When it is started again, then the command says where it is
    again = tessera("broker", "start")
    assert again.returncode == 0
    assert again.stdout.startswith(f"Kafka runs already at {started['bootstrap_servers']} (pid {pid})")
    # When it is asked to be elsewhere, then that is refused
    elsewhere = tessera("broker", "start", "--port", str(free_port()))
    assert elsewhere.returncode == 2 and "runs already, on port" in elsewhere.stderr
    # When it is stopped twice, then the second time is no error
    assert f"(pid {pid}) is stopped" in tessera("broker", "stop").stdout
    assert not runs(pid)
    idle = tessera("broker", "stop")
    assert (idle.returncode, idle.stderr) == (0, "") and "no Kafka of `tessera broker start` runs" in idle.stdout
    assert rows(tessera("broker", "stop", "--json")) == [{"state": "not running"}]
    # When it is started once more, then clients find it where they found it before
    (back,) = rows(tessera("broker", "start", "--json"))
    assert back["bootstrap_servers"] == started["bootstrap_servers"]


@pytest.mark.kafka
def test_topics_and_the_port_survive_a_crash_of_the_broker(tessera: Command, started: dict[str, Any]) -> None:
    # Given topics, made and shown by commands that find the broker in the environment
    place = {"TESSERA_BOOTSTRAP_SERVERS": started["bootstrap_servers"]}
    absent = tessera("topics", "describe", **place)
    assert absent.returncode == 2 and "`tessera topics create` makes them" in absent.stderr
    made = rows(tessera("topics", "create", "--json", **place))
    assert [row["state"] for row in made if "state" in row] == ["created"] * TOPICS
    assert [row["partitions_written"] for row in made if "group" in row] == [4] * 4
    # When the broker is killed and started
    crashed = psutil.Process(started["pid"])
    crashed.send_signal(signal.SIGKILL)
    psutil.wait_procs([crashed], timeout=20)
    (row,) = rows(tessera("broker", "start", "--json"))
    # Then it is a new process at the old address, with the old topics
    assert row["bootstrap_servers"] == started["bootstrap_servers"]
    assert row["state"] == "started" and row["pid"] != started["pid"]
    again = tessera("topics", "create", **place)
    assert again.stdout.count("existed") == TOPICS + len(GROUPS) and "created" not in again.stdout
    # And more copies than there are on its one node is refused, not passed over as "existed"
    short = tessera("topics", "create", "--replication-factor", "3", **place)
    assert short.returncode == 2 and "3 copies are asked for" in short.stderr
    described = rows(tessera("topics", "describe", "--json", **place))
    assert [len(row["groups"]) for row in described] == [1, 1, 2] + [0] * (TOPICS - 3)
    assert {group["members"] for row in described for group in row["groups"]} == {0}
    table = tessera("topics", "describe", **place).stdout
    assert "400 days" in table and "15 days" in table  # bills, and the memory of settled ids
    assert table.count("none") == len(GROUPS), "a lag where no stage runs looks like one that is behind"


@pytest.mark.kafka
def test_a_pid_of_another_program_is_not_touched(
    session_broker: DevelopmentBroker, tessera: Command, tmp_path: Path
) -> None:
    # Given a note of a broker whose process id now belongs to another program
    data = tmp_path / "state" / "tessera" / "broker"
    data.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (data / "broker.json").write_text(json.dumps({"nodes": [{"pid": other.pid, "port": 9092}]}))
        # When the broker is stopped
        ended = tessera("broker", "stop")
        # Then nothing runs as far as the command knows, and the other program lives
        assert ended.returncode == 0 and "no Kafka" in ended.stdout
        assert other.poll() is None
        other.communicate(b"\n")


@pytest.mark.kafka
def test_a_taken_port_is_reported(session_broker: DevelopmentBroker, tessera: Command) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        port = other.getsockname()[1]
        ended = tessera("broker", "start", "--port", str(port))
    assert ended.returncode == 2
    assert f"tessera: port {port} cannot be used: Address already in use; choose another" in ended.stderr


def test_without_java_the_command_says_how_to_get_it(tessera: Command, tmp_path: Path) -> None:
    ended = tessera("broker", "start", "--port", str(free_port()), PATH=str(tmp_path))
    assert ended.returncode == 2 and ended.stdout == ""
    assert "apt-get install openjdk-17-jre-headless maven" in ended.stderr and "Traceback" not in ended.stderr


def test_an_unusable_data_folder_is_one_line(tessera: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = tessera("broker", "start", "--data", str(tmp_path / "file" / "data"))
    assert ended.returncode == 2 and "Kafka cannot be started on" in ended.stderr and "Traceback" not in ended.stderr


def test_an_unreachable_broker_is_one_line(tessera: Command) -> None:
    ended = tessera("topics", "create", "--bootstrap-servers", f"127.0.0.1:{free_port()}")
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.count("\n") == 1 and "`tessera broker start`" in ended.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("broker", "start"),
        ("broker", "stop"),
        ("broker", "status"),
        ("topics", "create"),
        ("topics", "describe"),
    ],
)
def test_broker_help_has_an_example(words: tuple[str, ...]) -> None:
    said = forked_command.tessera(*words, "--help").stdout.decode()

    assert f"tessera {' '.join(words)}" in said.split("Example")[1]


@pytest.mark.kafka
def test_a_cluster_is_started_shown_repaired_and_stopped(session_broker: DevelopmentBroker, tessera: Command) -> None:
    # Given three nodes that a command started
    first = free_port()
    (row,) = rows(tessera("broker", "start", "--nodes", "3", "--port", str(first), "--json"))
    assert row["bootstrap_servers"] == ",".join(f"127.0.0.1:{first + number}" for number in range(3))
    assert (
        all(runs(pid) for pid in row["pids"]) and rows(tessera("broker", "status", "--json"))[0]["state"] == "running"
    )
    # When one of them dies, then that is shown
    dead = psutil.Process(row["pids"][1])
    dead.send_signal(signal.SIGKILL)
    psutil.wait_procs([dead], timeout=20)
    shown = tessera("broker", "status")
    assert shown.returncode == 1 and shown.stdout.count("has ended") == 1
    # When the cluster is started again, then that node alone is new
    (healed,) = rows(tessera("broker", "start", "--nodes", "3", "--json"))
    assert [old == new for old, new in zip(row["pids"], healed["pids"], strict=True)] == [True, False, True]
    # And who is about to make topics with one copy is warned
    place = {"TESSERA_BOOTSTRAP_SERVERS": healed["bootstrap_servers"]}
    examined = [json.loads(line) for line in tessera("doctor", "--kafka", "--json", **place).stdout.splitlines()]
    (before,) = [one for one in examined if one["check"] == "copies"]
    assert before["state"] == "warning" and "1 copy of each record on a cluster of 3 brokers" in before["said"]
    # And topics have copies on each node, two of which must be written
    made = tessera("topics", "create", "--replication-factor", "3", **place)
    assert made.returncode == 0 and "copy" not in made.stderr
    found = rows(tessera("doctor", "--json", **place))
    assert {one["state"] for one in found} == {"ok"}
    # When one node is asked for in the same place, then that is refused, until the cluster is stopped
    single = tessera("broker", "start")
    assert single.returncode == 2 and "with 3 nodes" in single.stderr
    assert rows(tessera("broker", "stop", "--json"))[0]["pids"] == healed["pids"]
    assert not any(runs(pid) for pid in healed["pids"])
    assert tessera("broker", "status").returncode == 1


def test_two_nodes_are_refused(tessera: Command) -> None:
    ended = tessera("broker", "start", "--nodes", "2")
    assert ended.returncode == 2 and "3 to 5 nodes" in ended.stderr
