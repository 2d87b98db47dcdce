"""Runs every level of checks and tests, goes on where one fails, and ends with a table: `python -m tests.levels`.

A level is a selection of pytest's markers; plain `pytest` is the level "fast". Each level names the environment it
needs: the interpreter that runs this module, or that of `.venv-vllm`, which cannot share one with the rest.

Levels run in two lanes side by side, as each leaves a core free most of the time; what breaks things on purpose runs
alone behind them. The first lane's output is shown as it comes, a level of the second lane is shown whole, between two
levels of the first. The second lane has the lower priority: the first one's services have sessions that must not
expire.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from threading import Event
from typing import IO
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
VLLM_PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
NOT_BY_DEFAULT = "not benchmark and not slow"
INTERRUPTED = 130
LOWER_PRIORITY = ("nice", "-n", "5")
NOTICED_WITHIN_S = 10.0
CHILDREN: set["subprocess.Popen[bytes]"] = set()
INTERRUPTION = Event()


class Lane(Enum):
    """Where a level runs: levels of one lane one after the other, those of SECOND beside those of FIRST."""

    FIRST = "first"
    SECOND = "second"
    ALONE = "alone"


@dataclass(frozen=True)
class Outcome:
    """How a level ended; `failed` counts tests that failed or could not be set up, or 1 for a check."""

    level: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Check:
    """A command that passes or fails as a whole."""

    name: str
    command: Sequence[str]
    lane: Lane = Lane.FIRST

    def run(self, output: IO[bytes] | None = None) -> Outcome:
        code = _run(output, BIN / self.command[0], *self.command[1:])
        return Outcome(self.name, passed=int(code == 0), failed=int(code != 0))


@dataclass(frozen=True)
class Marked:
    """The tests with these markers, in so many processes side by side.

    `folders`: the only ones, or files, looked into, where others need what the level's environment does not have.
    """

    name: str
    markers: str
    lane: Lane = Lane.FIRST
    python: Path = Path(sys.executable)
    processes: int = 1
    folders: Sequence[str] = ()

    def run(self, output: IO[bytes] | None = None) -> Outcome:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "junit.xml"
            selection = f"({self.markers}) and {NOT_BY_DEFAULT}"
            shared = ("-n", self.processes, "--dist", "worksteal") if self.processes > 1 else ()
            options = ("-m", selection, f"--junitxml={report}", *shared, *self.folders)
            code = _run(output, self.python, "-m", "pytest", *options)
            found = _counted(self.name, report) if report.exists() else Outcome(self.name, failed=1)
        return replace(found, failed=found.failed or int(code != 0))


Level = Check | Marked

VLLM_FOLDERS = (
    "tests/vllm",
    "tests/benchmarks/test_http_speed.py",
    "tests/benchmarks/test_vllm_speed.py",
    "tests/contracts",
    "tests/embedded_model",
    "tests/engines",
)
SERVICES = "kafka or chromium or prometheus or coq"
LEVELS: tuple[Level, ...] = (
    Check("ruff", ("ruff", "check", ".")),
    Check("format", ("ruff", "format", "--check", "--quiet", ".")),
    Check("types", ("mypy",)),
    Marked("fast", f"not ({SERVICES} or chaos or simulation or vllm)", processes=2),
    Marked("simulation", "simulation and not (chaos or vllm)", Lane.SECOND),
    Marked("services", f"({SERVICES}) and not (chaos or simulation or vllm)"),
    Marked("chaos", "chaos and not vllm", Lane.ALONE),
    Marked("vllm", "vllm", Lane.SECOND, VLLM_PYTHON, folders=VLLM_FOLDERS),
)


@dataclass
class Run:
    """One run of some levels. Only the first lane writes to the screen; it shows what the second has kept for it."""

    levels: Sequence[Level]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    kept: deque[tuple[Level, bytes]] = field(default_factory=deque)

    def all(self) -> list[Outcome]:
        """How each level ended, in the order given."""
        with ThreadPoolExecutor(1) as second:
            others = [second.submit(self._record, self._unseen, level) for level in self._of(Lane.SECOND)]
            for level in self._of(Lane.FIRST):
                self._record(self._seen, level)
                self._show_kept()
            for other in others:
                other.result()
                self._show_kept()
        for level in self._of(Lane.ALONE):
            self._record(self._seen, level)
        return [self.outcomes[level.name] for level in self.levels]

    def _of(self, lane: Lane) -> list[Level]:
        return [level for level in self.levels if level.lane is lane]

    def _record(self, run: Callable[[Level], Outcome], level: Level) -> None:
        self.outcomes[level.name] = run(level)

    def _seen(self, level: Level) -> Outcome:
        """Its output is shown as it comes."""
        _announce(level)
        return _timed(level, None)

    def _unseen(self, level: Level) -> Outcome:
        """Its output is kept until what is on the screen has ended; the next level does not wait for that."""
        with tempfile.TemporaryFile() as output:
            outcome = _timed(level, output)
            output.seek(0)
            self.kept.append((level, output.read()))
        return outcome

    def _show_kept(self) -> None:
        while self.kept:
            level, output = self.kept.popleft()
            _announce(level)
            sys.stdout.buffer.write(output)
            sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.levels", description=__doc__)
    names = [level.name for level in LEVELS]
    parser.add_argument("levels", nargs="*", metavar="LEVEL", help=f"which of {', '.join(names)}; all by default")
    parser.add_argument("--without", action="append", default=[], choices=names, help="leave a level out")
    given = parser.parse_args()
    if unknown := set(given.levels) - set(names):
        parser.error(f"no level is called {', '.join(sorted(unknown))}")
    wanted = [level for level in LEVELS if level.name in (given.levels or names) and level.name not in given.without]
    outcomes = Run(wanted).all()
    print(summary(outcomes), flush=True)
    return int(any(outcome.failed for outcome in outcomes))


def summary(outcomes: Sequence[Outcome]) -> str:
    """A row for each level, and behind them the sum as a line of its own."""
    rows = [f"{'level':12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}"]
    rows += [f"{one.level:12}{one.passed:8,}{one.failed:8,}{one.skipped:9,}{one.seconds:9.0f}" for one in outcomes]
    passed, failed, skipped = (sum(getattr(one, name) for one in outcomes) for name in ("passed", "failed", "skipped"))
    return "\n".join((*rows, "", f"{passed} passed, {failed} failed, {skipped} skipped"))


def _announce(level: Level) -> None:
    print(f"-- {level.name}", file=sys.stderr, flush=True)


def _timed(level: Level, output: IO[bytes] | None) -> Outcome:
    began = time.monotonic()
    return replace(level.run(output), seconds=time.monotonic() - began)


def _run(output: IO[bytes] | None, *command: object) -> int:
    """Exit status; an interruption ends all levels. `output`: where both streams go, instead of the screen."""
    if INTERRUPTION.is_set():
        raise SystemExit(INTERRUPTED)
    streams = None if output is None else subprocess.STDOUT
    words = [*(() if output is None else LOWER_PRIORITY), *(str(part) for part in command)]
    with subprocess.Popen(words, cwd=ROOT, env=os.environ, stdout=output, stderr=streams) as child:
        CHILDREN.add(child)
        try:
            return child.wait()
        except KeyboardInterrupt:
            _end_all()
            raise SystemExit(INTERRUPTED) from None
        finally:
            CHILDREN.discard(child)


def _end_all() -> None:
    """Whoever interrupts us on a terminal interrupts our children too; others are told."""
    INTERRUPTION.set()
    for child in [*CHILDREN]:
        try:
            child.wait(NOTICED_WITHIN_S)
        except subprocess.TimeoutExpired:
            child.terminate()


def _counted(level: str, report: Path) -> Outcome:
    """What pytest's own report counts."""
    (suite,) = ElementTree.parse(report).getroot().iter("testsuite")  # noqa: S314  # our own child wrote it
    total, failed, errors, skipped = (int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped"))
    return Outcome(level, total - failed - errors - skipped, failed + errors, skipped)


if __name__ == "__main__":
    sys.exit(main())
