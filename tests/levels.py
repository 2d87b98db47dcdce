"""Runs every level of checks and tests, goes on where one fails, and ends with a table: `python -m tests.levels`.

A level is a selection of pytest's markers; plain `pytest` is the level "fast". Each level names the environment it
needs: the interpreter that runs this module, or that of `.venv-vllm`, which cannot share one with the rest.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
VLLM_PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
NOT_BY_DEFAULT = "not benchmark and not slow"
INTERRUPTED = 130


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

    def run(self) -> Outcome:
        code = _run(BIN / self.command[0], *self.command[1:])
        return Outcome(self.name, passed=int(code == 0), failed=int(code != 0))


@dataclass(frozen=True)
class Marked:
    """The tests with these markers."""

    name: str
    markers: str
    python: Path = Path(sys.executable)

    def run(self) -> Outcome:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "junit.xml"
            selection = f"({self.markers}) and {NOT_BY_DEFAULT}"
            code = _run(self.python, "-m", "pytest", "-m", selection, f"--junitxml={report}")
            found = _counted(self.name, report) if report.exists() else Outcome(self.name, failed=1)
        return replace(found, failed=found.failed or int(code != 0))


SERVICES = "kafka or chromium or prometheus"
LEVELS = (
    Check("ruff", ("ruff", "check", ".")),
    Check("format", ("ruff", "format", "--check", "--quiet", ".")),
    Check("types", ("mypy",)),
    Marked("fast", f"not ({SERVICES} or chaos or simulation or vllm)"),
    Marked("simulation", "simulation and not (chaos or vllm)"),
    Marked("services", f"({SERVICES}) and not (chaos or simulation or vllm)"),
    Marked("chaos", "chaos and not vllm"),
    Marked("vllm", "vllm", VLLM_PYTHON),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.levels", description=__doc__)
    names = [level.name for level in LEVELS]
    parser.add_argument("levels", nargs="*", metavar="LEVEL", help=f"which of {', '.join(names)}; all by default")
    parser.add_argument("--without", action="append", default=[], choices=names, help="leave a level out")
    given = parser.parse_args()
    if unknown := set(given.levels) - set(names):
        parser.error(f"no level is called {', '.join(sorted(unknown))}")
    wanted = [level for level in LEVELS if level.name in (given.levels or names) and level.name not in given.without]
    outcomes = [_timed(level) for level in wanted]
    print(summary(outcomes), flush=True)
    return int(any(outcome.failed for outcome in outcomes))


def summary(outcomes: Sequence[Outcome]) -> str:
    """A row for each level, and behind them the sum as a line of its own."""
    rows = [f"{'level':12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}"]
    rows += [f"{one.level:12}{one.passed:8,}{one.failed:8,}{one.skipped:9,}{one.seconds:9.0f}" for one in outcomes]
    passed, failed, skipped = (sum(getattr(one, name) for one in outcomes) for name in ("passed", "failed", "skipped"))
    return "\n".join((*rows, "", f"{passed} passed, {failed} failed, {skipped} skipped"))


def _timed(level: Check | Marked) -> Outcome:
    print(f"-- {level.name}", file=sys.stderr, flush=True)
    began = time.monotonic()
    return replace(level.run(), seconds=time.monotonic() - began)


def _run(*command: object) -> int:
    """Exit status; an interruption ends all levels."""
    try:
        return subprocess.run([str(part) for part in command], cwd=ROOT, env=os.environ, check=False).returncode
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _counted(level: str, report: Path) -> Outcome:
    """What pytest's own report counts."""
    (suite,) = ElementTree.parse(report).getroot().iter("testsuite")  # noqa: S314  # our own child wrote it
    total, failed, errors, skipped = (int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped"))
    return Outcome(level, total - failed - errors - skipped, failed + errors, skipped)


if __name__ == "__main__":
    sys.exit(main())
