"""Levels of tests: each test belongs to one, a failure in one hides nothing of the others, and all are counted."""

import itertools
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from tests import levels
from tests.levels import Check, Lane, Marked, Outcome

TWO_OF_THREE = """
import pytest
def test_one(): pass
def test_two(): assert False
def test_three(): pytest.skip("no")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one test file, instead of this one."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    benchmark\n    slow\n")
    (tmp_path / "test_it.py").write_text(TWO_OF_THREE)
    monkeypatch.setattr(levels, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_a_level_counts_what_passed_failed_and_was_skipped() -> None:
    assert Marked("fast", "not nothing").run() == Outcome("fast", passed=1, failed=1, skipped=1)


def test_a_level_without_a_report_has_failed(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")

    assert Marked("fast", "not nothing").run().failed == 1


def test_a_level_whose_tests_cannot_be_collected_has_failed(project: Path) -> None:
    (project / "test_it.py").write_text("import nothing_of_that_name\n")

    assert Marked("fast", "not nothing").run().failed == 1


def test_a_failed_level_does_not_stop_the_next(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bad, good = Check("bad", ("python", "-c", "raise SystemExit(3)")), Check("good", ("python", "-c", ""))
    monkeypatch.setattr(levels, "LEVELS", (bad, good))
    monkeypatch.setattr(sys, "argv", ["levels"])

    assert levels.main() == 1

    assert capfd.readouterr().out.splitlines()[-1] == "1 passed, 1 failed, 0 skipped"


def test_levels_of_two_lanes_run_side_by_side_and_each_output_stays_whole(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each of the first two waits for the other's word: one after the other, neither would ever end."""
    told, asked = tmp_path / "told", tmp_path / "asked"
    waits = "import pathlib, time\nprint('{0} begins', flush=True)\npathlib.Path({1!r}).touch()\n"
    waits += "while not pathlib.Path({2!r}).exists(): time.sleep(0.01)\nprint('{0} ends')"
    first = Check("first", ("python", "-c", waits.format("first", str(told), str(asked))))
    second = Check("second", ("python", "-c", waits.format("second", str(asked), str(told))), Lane.SECOND)
    alone = Check("alone", ("python", "-c", "print('alone')"), Lane.ALONE)
    monkeypatch.setattr(levels, "LEVELS", (second, alone, first))
    monkeypatch.setattr(sys, "argv", ["levels"])

    assert levels.main() == 0

    *shown, header, one, two, three, _, sums = capfd.readouterr().out.splitlines()
    assert shown == ["first begins", "first ends", "second begins", "second ends", "alone"]
    assert [row.split()[0] for row in (header, one, two, three)] == ["level", "second", "alone", "first"]
    assert sums == "3 passed, 0 failed, 0 skipped"


def test_a_level_of_the_second_lane_does_not_wait_for_the_screen(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The first lane's only level ends once the last of the second lane's two has begun."""
    told = tmp_path / "told"
    waits = f"import pathlib, time\nfor _ in range(6000):\n    if pathlib.Path({str(told)!r}).exists(): break\n"
    waits += "    time.sleep(0.01)\nelse: raise SystemExit(1)\nprint('first')"
    first = Check("first", (sys.executable, "-c", waits))
    second = Check("second", (sys.executable, "-c", "print('second')"), Lane.SECOND)
    third = Check("third", (sys.executable, "-c", f"import pathlib; pathlib.Path({str(told)!r}).touch()"), Lane.SECOND)
    monkeypatch.setattr(levels, "LEVELS", (first, second, third))
    monkeypatch.setattr(sys, "argv", ["levels"])

    assert levels.main() == 0

    assert capfd.readouterr().out.splitlines()[:2] == ["first", "second"]


SLEEPING = """
import sys
from tests import levels
from tests.levels import Check, Lane
sleeps = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
lanes = {"one": Lane.FIRST, "two": Lane.SECOND, "three": Lane.SECOND}
levels.NOTICED_WITHIN_S = 0.1
levels.LEVELS = tuple(Check(name, ("python", "-c", sleeps, f"{sys.argv[1]}/{name}"), lanes[name]) for name in lanes)
sys.argv = ["levels"]
sys.exit(levels.main())
"""


def test_an_interruption_ends_what_runs_in_both_lanes_and_begins_nothing_more(tmp_path: Path) -> None:
    running = subprocess.Popen([sys.executable, "-c", SLEEPING, str(tmp_path)], cwd=levels.ROOT)
    deadline = time.monotonic() + 60
    while len([*tmp_path.iterdir()]) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)

    assert running.wait(60) == levels.INTERRUPTED
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


def test_every_test_belongs_to_exactly_one_level() -> None:
    markers = ("kafka", "chromium", "prometheus", "coq", "chaos", "simulation", "vllm")
    selections = [level.markers for level in levels.LEVELS if isinstance(level, Marked)]

    for present in itertools.product((False, True), repeat=len(markers)):
        test = dict(zip(markers, present, strict=True))
        assert sum(eval(selection, {}, test) for selection in selections) == 1, test  # noqa: S307  # our own words


def test_plain_pytest_is_the_fast_level() -> None:
    options = tomllib.loads((levels.ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]

    assert set(re.findall(r"\w+", options.split("not (")[1])) == {
        "benchmark", "slow", "or", "kafka", "chromium", "prometheus", "coq", "chaos", "simulation", "vllm",
    }  # fmt: skip


def test_the_folders_of_the_vllm_level_hold_every_test_that_it_selects() -> None:
    marked = re.compile(r"mark\.vllm\b")
    files = {path for path in (levels.ROOT / "tests").rglob("test_*.py") if marked.search(path.read_text())}
    inside = {path for path in files for folder in levels.VLLM_FOLDERS if path.is_relative_to(levels.ROOT / folder)}
    assert inside and files - {Path(__file__)} == inside
