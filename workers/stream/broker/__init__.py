"""A Kafka broker for development and tests: one node from jars, on this machine only, no container needed."""

import asyncio
import base64
import os
import secrets
import shutil
import socket
import string
import subprocess
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from workers.errors import BrokerError
from workers.stream.broker.jars import fetch_jars, find_java
from workers.stream.broker.ready import coordinators_ready
from workers.stream.broker.secured import Secured
from workers.stream.security import connection

TEMPLATE = Path(__file__).with_name("server.properties")
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
START_TIMEOUT_S = 120.0
FORMAT_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
PROBE_TIMEOUT_S = 5.0  # of one look at the coordinators; then whether the process is still there
POLL_S = 0.05
TAIL_BYTES = 2_000
# Below the ports that the kernel gives to outgoing connections: a client that keeps knocking at a killed broker's port
# in that range can be given the very same port and then talks to itself.
FREE_PORTS = range(20_000, 32_000)


def _silent(_: str) -> None:
    pass


class DevelopmentBroker:
    """One node, broker and controller in one process that belongs to this object, bound to 127.0.0.1.

    `data` is its folder: configuration, broker.log, records. The port stays the same over restarts; without one a free
    port is taken. `note` is told what takes long. Any number of them run side by side on different folders.
    """

    def __init__(
        self,
        data: Path,
        port: int | None = None,
        note: Callable[[str], None] = _silent,
        secured: Secured | None = None,
    ) -> None:
        self.data = data.resolve()
        self.port = free_port() if port is None else port
        self.bootstrap_servers = f"127.0.0.1:{self.port}"
        self.properties = self.data / "server.properties"
        self.log = self.data / "broker.log"
        self._note = note
        self._secured = secured
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start_bytes = 0

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if running and self._process else None

    def start(self, within_s: float = START_TIMEOUT_S) -> None:
        """Start and wait until it can be used; records of an earlier run are kept.

        MissingProgram: no Java, or no Maven and no jars. BrokerError: the port is taken, or the node ended or is not
        ready after `within_s`; then nothing is left running.
        """
        self.launch()
        self.wait_until_ready(within_s)

    def launch(self) -> int:
        """The first half of `start`: the process id, as soon as there is one."""
        if self.pid is not None:
            raise BrokerError(f"this broker runs already at {self.bootstrap_servers}")
        self._refuse_taken_port()
        command = [find_java(), *JVM, "-cp", f"{fetch_jars(self._note)}/*"]
        self._configure()
        self._format(command)
        self._log_start_bytes = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*command, MAIN_CLASS, str(self.properties)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.data, start_new_session=True,
            )  # fmt: skip
        return self._process.pid

    def wait_until_ready(self, within_s: float = START_TIMEOUT_S) -> None:
        """The second half of `start`: until the port answers and both coordinators work."""
        deadline = time.monotonic() + within_s
        try:
            while not (self._port_answers() and self._coordinators_answer()):
                self._check_alive(deadline)
                time.sleep(POLL_S)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it in order, within 20 s; afterwards it does not run, whatever state it was in."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it as a power cut would; `start` brings it back with its records."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def release(self) -> None:
        """Let it run on without this object, which does not know it from now on."""
        if self._process is not None:
            self._process.returncode = 0  # else Python warns of a process that nobody waits for
            self._process = None

    def _configure(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        places = {"port": self.port, "controller_port": free_port(), "log": _escape(str(self.data / "log"))}
        template = TEMPLATE
        if self._secured is not None:
            self._secured.make_certificates()
            template, places = self._secured.template, places | self._secured.places
        self.properties.write_text(string.Template(template.read_text()).substitute(places))

    def _format(self, command: list[str]) -> None:
        log = self.data / "log"
        if (log / "meta.properties").exists():
            return
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        step = [*command, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self.properties)]
        step += self._secured.format_options if self._secured else []
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

    def _refuse_taken_port(self) -> None:
        try:
            socket.create_server(("127.0.0.1", self.port)).close()
        except OSError as error:
            why = os.strerror(error.errno or 0)
            raise BrokerError(f"port {self.port} cannot be used: {why}; choose another with --port") from None

    def _port_answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def _check_alive(self, deadline: float) -> None:
        if self.pid is None:
            raise BrokerError(f"Kafka ended by itself; the last lines of {self.log}:\n{self._tail()}")
        if time.monotonic() > deadline:
            raise BrokerError(f"Kafka was not ready in time; the last lines of {self.log}:\n{self._tail()}")

    def _tail(self) -> str:
        with self.log.open("rb") as log:
            log.seek(max(self._log_start_bytes, self.log.stat().st_size - TAIL_BYTES))
            return log.read().decode(errors="replace").strip()

    def _connection(self) -> dict[str, Any]:
        if self._secured is None:
            return {"bootstrap_servers": self.bootstrap_servers}
        return connection(self._secured.client(self.bootstrap_servers))

    def _coordinators_answer(self) -> bool:
        """In a thread of its own: the caller may be inside an event loop."""
        with ThreadPoolExecutor(1) as pool:
            try:
                pool.submit(asyncio.run, coordinators_ready(self._connection(), PROBE_TIMEOUT_S)).result()
            except BrokerError:
                return False
        return True


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment; BrokerError when none is found."""
    for _ in range(100):
        port = FREE_PORTS[secrets.randbelow(len(FREE_PORTS))]
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise BrokerError(f"no free port between {FREE_PORTS.start} and {FREE_PORTS.stop}")


def _escape(text: str) -> str:
    """As a Java properties file wants it: ASCII, and no bare backslash."""
    return "".join(c if " " <= c <= "~" and c != "\\" else f"\\u{ord(c):04x}" for c in text)
