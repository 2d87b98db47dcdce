"""Processes that are started again when they end, as Compose and Kubernetes do; and that a game day keeps down."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

END_S = 40.0
REST_S = 1.0  # between two starts


class Supervised:
    """One `python -m ...`; `tend` has to be called often."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._environment, self._log = environment, log
        self._is_down = False
        self.restart(arguments)

    def restart(self, arguments: Sequence[str]) -> None:
        """From now on with these arguments."""
        self.end()
        self._command = [sys.executable, "-m", *arguments]
        self.let_up()

    def keep_down(self) -> None:
        """It dies, and nobody starts it again."""
        self._is_down = True
        self._process.kill()
        self._process.wait(END_S)

    def let_up(self) -> None:
        """It runs again."""
        self._is_down = False
        self._start()

    def kill(self) -> None:
        """It dies, and is started again."""
        self._process.kill()

    def tend(self) -> None:
        """Start it if it has ended."""
        is_over = self._process.poll() is not None
        if is_over and not self._is_down and time.monotonic() - self._started_s > REST_S:
            self._start()

    def end(self) -> None:
        """In order, by force if it has to be."""
        self._is_down = True
        if (process := getattr(self, "_process", None)) is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.keep_down()

    def _start(self) -> None:
        self._started_s = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=dict(self._environment), stdout=log, stderr=log)
