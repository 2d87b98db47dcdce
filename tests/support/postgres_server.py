"""A PostgreSQL of Debian's for tests: on loopback, in a folder of its own, as somebody who is not root."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workers.devkafka.ports import free_port

START_S, STOP_S = 60.0, 30.0
DEBIAN = Path("/usr/lib/postgresql")
NOT_ROOT = ("postgres", "nobody")  # the server refuses to run as root; Debian's package brings the first of them


def program(name: str) -> str:
    """Its path. Skipped at home where there is none, failed where CI is set."""
    of_debian = sorted(DEBIAN.glob(f"*/bin/{name}"))
    found = str(of_debian[-1]) if of_debian else shutil.which(name)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "PostgreSQL is not installed: apt-get install postgresql"
        )
    return found


def owner() -> str | None:
    """Whose the server is. None: it is ours."""
    if os.geteuid() != 0:
        return None
    users = {one.pw_name for one in pwd.getpwall()}
    return next(name for name in NOT_ROOT if name in users)


class PostgresServer:
    """One server; it may be stopped or killed, and started again on the same data."""

    def __init__(self) -> None:
        self.port = free_port()
        self._user = owner()
        # Root's TMPDIR may be where nobody else comes to.
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp" if self._user else None))  # noqa: S108
        if self._user:
            shutil.chown(self._folder, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        options = ("-U", "finance", "-A", "trust", "--locale=C", "--encoding=UTF8", "--no-sync")
        self._run(program("initdb"), "-D", str(self._folder / "data"), *options)

    @property
    def url(self) -> str:
        return f"postgresql://finance@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        command = [program("postgres"), "-D", str(self._folder / "data"), "-p", str(self.port)]
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *options], stdout=log, stderr=log, user=self._user, cwd=self._folder, start_new_session=True
            )
        self._wait()

    def stop(self, with_: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends sessions and stops; SIGQUIT at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(with_)
            self._process.wait(STOP_S)
            self._process = None

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S
        ready = [program("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        while subprocess.run(ready, check=False, timeout=START_S).returncode:
            if time.monotonic() > deadline or self._process is None or self._process.poll() is not None:
                raise RuntimeError((self._folder / "log").read_text()[-2_000:])
            time.sleep(0.05)

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, timeout=START_S, user=self._user, cwd=self._folder, capture_output=True)


@contextmanager
def running() -> Iterator[PostgresServer]:
    """A server that runs inside, and is gone afterwards."""
    server = PostgresServer()
    server.start()
    try:
        yield server
    finally:
        server.remove()
