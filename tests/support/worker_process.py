"""A `tessera run` process for tests: started, waited for, killed and ended by its handle."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.settings import DEMO_DRAW_KEY

START_S = 90.0
STOP_S = 40.0
POLL_S = 0.05
STATE = "TESSERA_STATE_FOLDER"  # of tests, never the user's own


def environment(kafka: str, **settings: object) -> dict[str, str]:
    """The environment of a child: ours without settings but for the folder of state, then those given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TESSERA_") or name == STATE}
    defaults = {
        "draw_key": DEMO_DRAW_KEY.get_secret_value(),
        "metrics_port": 0,
        "session_timeout_s": 3,
        "engine": "null",
        "allow_plaintext": "true",
    }
    given = {**defaults, "bootstrap_servers": kafka, **settings}
    return {**inherited, **{f"TESSERA_{name.upper()}": str(value) for name, value in given.items()}}


class WorkerProcess:
    """Stages in a process of their own."""

    def __init__(
        self,
        stages: Sequence[str],
        kafka: str,
        log: Path,
        *,
        module: str = "workers",
        start_s: float = START_S,
        **settings: object,
    ) -> None:
        self._log, self._start_s = log, start_s
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, "run", *stages],
                env=environment(kafka, **settings),
                stdout=output,
                stderr=output,
            )

    def output(self) -> str:
        return self._log.read_text()

    def url(self) -> str:
        """Where it serves /metrics; waits until it says so."""
        self._wait(lambda: re.search(r"metrics at (http://\S+)/metrics", self.output()), "announce its port")
        return re.findall(r"metrics at (http://\S+)/metrics", self.output())[-1]

    def until_ready(self) -> Self:
        url = self.url()
        self._wait(lambda: _answers(f"{url}/readyz"), "become ready")
        return self

    def kill(self) -> None:
        """As a machine dies: nothing is flushed, nothing is said."""
        self.process.kill()
        self.process.wait(STOP_S)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the worker did not stop within {STOP_S} s:\n{self.output()}") from None

    def _wait(self, happened: object, what: str) -> None:
        deadline = time.monotonic() + self._start_s
        while not happened():  # type: ignore[operator]
            if self.process.poll() is not None:
                raise AssertionError(f"the worker ended with {self.process.returncode}:\n{self.output()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"the worker did not {what} within {self._start_s} s:\n{self.output()}")
            time.sleep(POLL_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.stop()


@contextmanager
def worker(stages: Sequence[str], kafka: str, log: Path, **settings: object) -> Iterator[WorkerProcess]:
    """A worker that is ready, and stopped in the end."""
    with WorkerProcess(stages, kafka, log, **settings) as process:
        yield process.until_ready()


def tessera(
    *arguments: str, kafka: str = "127.0.0.1:1", given: bytes = b"", timeout_s: float = 120, **settings: object
) -> "subprocess.CompletedProcess[bytes]":
    """One command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "workers", *arguments],
        env=environment(kafka, **settings),
        input=given,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # our own worker on loopback
            return bool(json.load(answer)["status"] == "ok")
    except (urllib.error.URLError, OSError):
        return False
