"""Who settles the same topic: our stage, Quix Streams and Faust, each as one process with the same commit size."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.rivals.environments import python_of
from tests.support.worker_process import WorkerProcess

ROOT = Path(__file__).parents[3]
STOP_S = 20.0
SESSION_S = 3


@dataclass(frozen=True)
class Run:
    """One start of a contender: where, in which group, how many records a commit."""

    kafka: str
    group: str
    commit: int
    folder: Path


Start = Callable[[Run], "subprocess.Popen[bytes]"]


@dataclass(frozen=True)
class Contender:
    """A library under one of its guarantees."""

    name: str
    start: Start
    group: str | None = None  # where the library does not let us choose


def ours(run: Run) -> "subprocess.Popen[bytes]":
    """`tessera run settlement`; a stable instance name gets its partitions back at once after a crash."""
    settings = {"transaction_auctions": run.commit, "session_timeout_s": SESSION_S, "instance": "0"}
    return WorkerProcess(("settlement",), run.kafka, run.folder / "tessera.log", **settings).process


def rival(name: str, guarantee: str) -> Start:
    def start(run: Run) -> "subprocess.Popen[bytes]":
        state = run.folder / f"state-{run.group}"
        state.mkdir(exist_ok=True)
        command = [str(python_of(name)), "-m", f"tests.benchmarks.rivals.{name}_settlement"]
        arguments = [run.kafka, run.group, str(run.commit), guarantee, str(state)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (run.folder / f"{run.group}.log").open("ab") as log:
            return subprocess.Popen([*command, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log)

    return start


CONTENDERS = (
    Contender("tessera, exactly once", ours, "auction.settlement"),
    Contender("quixstreams, exactly once", rival("quix", "exactly-once")),
    Contender("quixstreams, at least once", rival("quix", "at-least-once")),
    Contender("faust-streaming, exactly once", rival("faust", "exactly_once")),
    Contender("faust-streaming, at least once", rival("faust", "at_least_once")),
)


@contextmanager
def running(contender: Contender, run: Run) -> Iterator["subprocess.Popen[bytes]"]:
    """The contender's process, ended in the end."""
    process = contender.start(run)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)
