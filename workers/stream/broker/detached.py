"""The development broker as a service of this user: it outlives the command that started it, one per data folder."""

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from workers.errors import BrokerError
from workers.settings import state_folder
from workers.stream.broker import POLL_S, DevelopmentBroker
from workers.stream.broker.jars import kafka_version
from workers.stream.broker.node import MAIN_CLASS, STOP_TIMEOUT_S

DEFAULT_PORT = 9_092
PS_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class RunningBroker:
    """A broker that runs on its own."""

    pid: int
    port: int
    data: Path

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.data / "broker.log"

    @property
    def alive(self) -> bool:
        """Whether the process with this id is still that broker: its command line ends with its configuration."""
        return _command_line(self.pid).endswith(f"{MAIN_CLASS} {self.data / 'server.properties'}")


def default_data() -> Path:
    """The folder of the broker that commands mean when they name none."""
    return state_folder() / "broker"


def find_broker(data: Path) -> RunningBroker | None:
    """The broker that runs on this folder. A pid that another program has by now does not count."""
    data = data.resolve()
    try:
        noted = json.loads(_pid_file(data).read_text())
        broker = RunningBroker(int(noted["pid"]), int(noted["port"]), data)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    return broker if broker.alive else None


def start_broker(data: Path, port: int | None, note: Callable[[str], None]) -> tuple[RunningBroker, bool]:
    """The broker of this folder, and whether it had to be started; the port is 9092 unless one is given.

    BrokerError: it runs on another port than the one given, the port is taken, the folder cannot be used, or Kafka
    does not start. MissingProgram: no Java, or no Maven when the jars have to be fetched.
    """
    try:
        data = data.resolve()
        data.mkdir(parents=True, exist_ok=True)
        with _only_one(data):
            if running := find_broker(data):
                return _same_port(running, port), False
            note(f"starting Kafka {kafka_version()}")
            return _start(DevelopmentBroker(data, DEFAULT_PORT if port is None else port, note)), True
    except OSError as error:
        raise BrokerError(f"Kafka cannot be started on {data}: {error}") from None


def stop_broker(data: Path) -> RunningBroker | None:
    """Stop the broker of this folder, within 20 s, by force after that; None when none runs. BrokerError: not ours."""
    if running := find_broker(data):
        _end(running)
    with suppress(OSError):
        _pid_file(data.resolve()).unlink()
    return running


def _start(broker: DevelopmentBroker) -> RunningBroker:
    """The pid is noted before the wait, so that `stop` can end it whatever happens to this command."""
    pid = broker.launch()
    try:
        running = RunningBroker(pid, broker.port, broker.data)
        _pid_file(broker.data).write_text(json.dumps({"pid": running.pid, "port": running.port}) + "\n")
        broker.wait_until_ready()
    except BaseException:
        broker.kill()
        _pid_file(broker.data).unlink(missing_ok=True)
        raise
    broker.release()
    return running


def _same_port(running: RunningBroker, port: int | None) -> RunningBroker:
    if port not in (None, running.port):
        raise BrokerError(
            f"the broker of {running.data} runs already, on port {running.port} (pid {running.pid}): "
            f"`tessera broker stop` first, or start a second one in a folder of its own with --data"
        )
    return running


def _end(running: RunningBroker) -> None:
    try:
        os.kill(running.pid, signal.SIGTERM)
        if not _gone(running, STOP_TIMEOUT_S):
            os.kill(running.pid, signal.SIGKILL)
            _gone(running, STOP_TIMEOUT_S)
    except ProcessLookupError:
        return
    except PermissionError:
        raise BrokerError(f"the broker with pid {running.pid} belongs to another user") from None


def _gone(running: RunningBroker, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while running.alive:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _command_line(pid: int) -> str:
    """Words joined by a blank; empty when there is no such process."""
    if Path("/proc/self/cmdline").exists():
        with suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        return ""
    listing = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(listing, capture_output=True, text=True, timeout=PS_TIMEOUT_S).stdout.strip()  # noqa: S603


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BrokerError(
                f"another `tessera broker start` is at work in {data}; try again when it is done"
            ) from None
        yield


def _pid_file(data: Path) -> Path:
    return data / "broker.json"
