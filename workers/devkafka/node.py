"""One Kafka node: a Java process with a folder of its own, formatted once, that belongs to this object."""

import base64
import shutil
import string
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from workers.devkafka.jars import fetch_jars, find_java
from workers.devkafka.ports import port_answers, refuse_taken_port
from workers.errors import BrokerError

MAIN_CLASS = "kafka.Kafka"
JVM = (
    "-Xms128m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
    # tells of transaction markers that were skipped: where to look first when a crash test shows duplicates
    "-Dorg.slf4j.simpleLogger.log.kafka.coordinator.transaction.TransactionMarkerChannelManager=info",
)
FORMAT_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
TAIL_BYTES = 2_000


class Node:
    """A process. `data` is its folder: configuration, broker.log, records; clients find it at 127.0.0.1:`port`.

    `note` is told what takes long. `version` is that of Kafka, without one the version that pom.xml names.
    """

    def __init__(self, data: Path, port: int, note: Callable[[str], None], version: str | None = None) -> None:
        self.data = data.resolve()
        self.port = port
        self.properties = self.data / "server.properties"
        self.log = self.data / "broker.log"
        self._note, self._version = note, version
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start_bytes = 0

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if running and self._process else None

    def configure(self, template: Path, places: Mapping[str, str]) -> None:
        """Write its configuration: the template with port, records folder and `places` filled in."""
        self.data.mkdir(parents=True, exist_ok=True)
        own = {"port": str(self.port), "log": _escape(str(self.data / "log"))}
        self.properties.write_text(string.Template(template.read_text()).substitute(own | dict(places)))

    def prepare(self, cluster_id: str, options: Sequence[str] = ()) -> None:
        """Format its folder unless that was done. `options` are of Kafka's storage tool, as for users.

        MissingProgram: no Java, or no Maven and no jars. BrokerError: the tool fails.
        """
        log = self.data / "log"
        if (log / "meta.properties").exists():
            return
        format_it = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", str(self.properties)]
        step = [*self._java(), *format_it, *options]
        try:
            subprocess.run(step, check=True, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S)  # noqa: S603
        except BaseException as error:
            shutil.rmtree(log, ignore_errors=True)
            if isinstance(error, subprocess.CalledProcessError):
                said = (error.stdout + error.stderr).strip()[-TAIL_BYTES:]
                raise BrokerError(f"Kafka cannot make {log}: {said}") from None
            if isinstance(error, subprocess.TimeoutExpired):
                raise BrokerError(f"Kafka did not make {log} within {FORMAT_TIMEOUT_S:g} s") from None
            raise

    def execute(self) -> int:
        """Start the process with the configuration that is there; its id. BrokerError: it runs, the port is taken."""
        self.refuse_to_run_twice()
        command = [*self._java(), MAIN_CLASS, str(self.properties)]
        self._log_start_bytes = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.data, start_new_session=True
            )
        return self._process.pid

    def refuse_to_run_twice(self) -> None:
        """BrokerError where it runs, or somebody else has its port."""
        if self.pid is not None:
            raise BrokerError(f"this broker runs already at 127.0.0.1:{self.port}")
        refuse_taken_port(self.port)

    def answers(self) -> bool:
        """Whether its port does."""
        return port_answers(self.port)

    def check_alive(self, deadline: float) -> None:
        """BrokerError, with the log's last lines, where it ended by itself or `deadline` (monotonic, s) is over."""
        if self.pid is None:
            raise BrokerError(f"Kafka ended by itself; the last lines of {self.log}:\n{self._tail()}")
        if time.monotonic() > deadline:
            raise BrokerError(f"Kafka was not ready in time; the last lines of {self.log}:\n{self._tail()}")

    def terminate(self) -> None:
        """Ask it to end; `stop` waits for that."""
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """End it in order, within 20 s; afterwards it does not run, whatever state it was in."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it as a power cut would; its records stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def release(self) -> None:
        """Let it run on without this object, which does not know it from now on."""
        if self._process is not None:
            self._process.returncode = 0  # else Python warns of a process that nobody waits for
            self._process = None

    def log_since_start(self) -> str:
        """What it has logged since its latest start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start_bytes)
            return log.read().decode(errors="replace")

    def _java(self) -> list[str]:
        return [find_java(), *JVM, "-cp", f"{fetch_jars(self._note, self._version)}/*"]

    def _tail(self) -> str:
        with self.log.open("rb") as log:
            log.seek(max(self._log_start_bytes, self.log.stat().st_size - TAIL_BYTES))
            return log.read().decode(errors="replace").strip()


def new_cluster_id() -> str:
    """As Kafka writes them: 22 characters."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


def _escape(text: str) -> str:
    """As a Java properties file wants it: ASCII, and no bare backslash."""
    return "".join(c if " " <= c <= "~" and c != "\\" else f"\\u{ord(c):04x}" for c in text)
