"""The workers of a campaign: named replicas in processes of their own, killed, frozen, thawed and started again."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.failpoints import Armoury
from tests.chaos.walls import WITHOUT
from tests.support.worker_process import environment

END_S = 30.0
EARLY_S = 0.5  # between two starts of one that ends by itself
IN_FLIGHT = 32


@dataclass(frozen=True)
class Thaw:
    """A worker that was frozen and goes on: when, of time.monotonic()."""

    name: str
    pid: int
    stopped_s: float
    thawed_s: float


class Replica:
    """One worker by name; whatever process has that name at the moment."""

    def __init__(
        self, folder: Path, stage: str, name: str, servers: str, without: str = "", **settings: object
    ) -> None:
        self.stage, self.name = stage, name
        self.armoury = Armoury(folder, name)
        self.stopped_s: float | None = None
        self._log, self._started_s = folder / f"{name}.log", 0.0
        self._command = [sys.executable, "-m", "tests.chaos.worker", str(folder), name, stage]
        self._environment = environment(servers, **settings) | {WITHOUT: without}
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        """A new process; the former one has ended."""
        self._started_s, self.stopped_s = time.monotonic(), None
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        return self.process

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None and self.stopped_s is None

    @property
    def rests(self) -> bool:
        """Whether it ended so soon after its start that the next one has to wait a moment."""
        return time.monotonic() - self._started_s < EARLY_S

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(END_S)

    def freeze(self) -> None:
        """SIGSTOP; the fleet thaws it in time."""
        os.kill(self.process.pid, signal.SIGSTOP)
        self.stopped_s = time.monotonic()

    def thaw(self) -> Thaw:
        stopped_s, self.stopped_s = self.stopped_s or time.monotonic(), None
        os.kill(self.process.pid, signal.SIGCONT)
        return Thaw(self.name, self.process.pid, stopped_s, time.monotonic())

    def end(self) -> int:
        """In order, by force if it has to be; the exit code."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(END_S)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def notices_freezing(self) -> bool:
        """Whether the process has stopped itself."""
        if self.stopped_s is None and self.process.poll() is None and state_of(self.process.pid) == "T":
            self.stopped_s = time.monotonic()
        return self.stopped_s is not None


class Fleet:
    """All replicas. `tend` has to be called often: it starts the dead and thaws the frozen."""

    def __init__(self, folder: Path, servers: str, hold_s: float, **settings: object) -> None:
        self.exits: Counter[str] = Counter()
        self.thaws: list[Thaw] = []
        self._folder, self._servers, self._hold_s, self._settings = folder, servers, hold_s, settings
        self._replicas: list[Replica] = []

    def __iter__(self) -> Iterator[Replica]:
        return iter(self._replicas)

    def add(self, stage: str, name: str, instance: str = "") -> Replica:
        own = {"instance": instance, "in_flight": IN_FLIGHT, "state_folder": self._folder / f"{name}.state"}
        settings = {**self._settings, **own}
        replica = Replica(self._folder, stage, name, self._servers, **settings)
        self._replicas.append(replica)
        return replica

    def remove(self, replica: Replica) -> int:
        self._replicas.remove(replica)
        return self._note_exit(replica, replica.end())

    def running(self) -> list[Replica]:
        return [replica for replica in self._replicas if replica.is_running]

    def tend(self) -> list[Thaw]:
        """Start what has ended, thaw what was frozen for long enough; the thaws."""
        thaws = []
        for replica in self._replicas:
            if (code := replica.process.poll()) is not None:
                if not replica.rests:
                    self._note_exit(replica, code)
                    replica.start()
            elif replica.notices_freezing() and time.monotonic() - (replica.stopped_s or 0.0) > self._hold_s:
                thaws.append(replica.thaw())
        self.thaws += thaws
        return thaws

    def end(self) -> list[int]:
        """End all of them in order, all at once; their exit codes."""
        for replica in self._replicas:
            if replica.process.poll() is None:
                os.kill(replica.process.pid, signal.SIGCONT)
                replica.process.terminate()
        return [replica.end() for replica in self._replicas]

    def _note_exit(self, replica: Replica, code: int) -> int:
        self.exits[f"{replica.stage} {code}"] += 1
        return code


def state_of(pid: int) -> str:
    """The kernel's letter for it: T is stopped; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
