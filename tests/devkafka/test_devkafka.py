"""The development broker as a child process: start, restart, side by side, and what is said when it cannot start."""

import socket
from pathlib import Path

import psutil
import pytest

from workers import devkafka as package
from workers.devkafka import DevelopmentBroker
from workers.devkafka.jars import fetch_jars, find_java, kafka_version
from workers.devkafka.ports import free_port
from workers.errors import BrokerError, MissingProgram
from workers.settings import Settings
from workers.stream.admin.topics import create_topics


def programs(folder: Path, **scripts: str) -> str:
    """A PATH with nothing on it but these shell scripts."""
    folder.mkdir()
    for name, body in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def listening(pid: int) -> set[str]:
    return {c.laddr.ip for c in psutil.Process(pid).net_connections() if c.status == psutil.CONN_LISTEN}


@pytest.mark.kafka
async def test_a_killed_broker_comes_back_with_its_records(broker: DevelopmentBroker) -> None:
    # Given topics on a broker
    settings = Settings.read(bootstrap_servers=broker.bootstrap_servers)
    await create_topics(settings)
    killed = broker.pid
    # When it is killed and started, from inside an event loop
    broker.kill()
    assert broker.pid is None
    broker.start()
    # Then it is another process at the same address, and the topics are there
    assert broker.pid not in (None, killed)
    assert (await create_topics(settings)).created == ()


@pytest.mark.kafka
def test_a_second_broker_runs_beside_the_first_and_leaves_nothing(broker: DevelopmentBroker, tmp_path: Path) -> None:
    # Given a folder with a name that Java would misread unless it is escaped
    second = DevelopmentBroker(tmp_path / "données \\ 2")
    # When a second broker starts there
    second.start()
    pid = second.pid
    try:
        # Then both run, and only this machine reaches them
        assert pid and broker.pid and second.port != broker.port
        assert listening(pid) <= {"127.0.0.1", "::ffff:127.0.0.1"}
        assert (second.data / "log" / "meta.properties").exists()
        with pytest.raises(BrokerError, match="runs already"):
            second.start()
    finally:
        second.stop()
    assert second.pid is None and not psutil.pid_exists(pid)


@pytest.mark.kafka
def test_a_taken_port_is_named_in_the_error(session_broker: DevelopmentBroker, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        taken = DevelopmentBroker(tmp_path, port=other.getsockname()[1])
        with pytest.raises(BrokerError, match=rf"port {taken.port} cannot be used: .*--port"):
            taken.start()


@pytest.mark.kafka
def test_a_broker_that_ends_early_shows_the_last_lines_of_its_log(
    session_broker: DevelopmentBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a configuration that Kafka formats but does not run with
    broken = tmp_path / "server.properties"
    broken.write_text(package.TEMPLATE.read_text() + "authorizer.class.name=no.such.Authorizer\n")
    monkeypatch.setattr(package, "TEMPLATE", broken)
    failing = DevelopmentBroker(tmp_path / "data")
    # When it is started, then the error says why, and nothing is left running
    with pytest.raises(BrokerError, match=r"ended by itself[\s\S]*no\.such\.Authorizer"):
        failing.start()
    assert failing.pid is None


@pytest.mark.kafka
def test_cached_jars_need_no_maven(
    session_broker: DevelopmentBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path / "bin"))
    assert list(fetch_jars(pytest.fail).glob(f"kafka_*-{kafka_version()}.jar"))


def test_without_java_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path / "bin"))
    with pytest.raises(MissingProgram, match="apt-get install openjdk-17-jre-headless maven"):
        find_java()


@pytest.mark.parametrize(
    ("first_line", "found"), [('openjdk version "11.0.2"', "is Java 11"), ('java version "1.8.0_402"', "is Java 8")]
)
def test_an_old_java_is_refused(first_line: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", java=f"echo '{first_line}' >&2"))
    with pytest.raises(MissingProgram, match=found):
        find_java()


def test_a_new_java_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", java="echo 'openjdk version \"25\" 2025-09-16' >&2"))
    assert find_java() == str(tmp_path / "bin" / "java")


def test_without_maven_and_jars_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(MissingProgram, match="apt-get install openjdk-17-jre-headless maven"):
        fetch_jars(pytest.fail)


def test_a_failing_maven_is_quoted_and_leaves_no_partial_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a Maven without network
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", mvn="echo 'Unknown host'; exit 1"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    notes: list[str] = []
    # When the jars are fetched
    with pytest.raises(BrokerError, match="Unknown host"):
        fetch_jars(notes.append)
    # Then the user was told what is going on, and the next attempt starts afresh
    assert notes == [f"fetching Kafka {kafka_version()}, once, about 45 MB"]
    assert list((tmp_path / "cache" / "tessera").iterdir()) == []


def test_jars_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a Maven that makes the folder it is told to
    script = 'for word; do case $word in -DoutputDirectory=*) /bin/mkdir "${word#*=}";; esac; done'
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", mvn=script))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # When the jars are asked for twice, then the second time nothing is fetched
    assert fetch_jars(lambda _: None) == fetch_jars(pytest.fail)


def test_free_ports_are_below_those_of_outgoing_connections() -> None:
    assert all(free_port() < 32_768 for _ in range(20))
