"""Levels of tests: each test belongs to one, a failure in one hides nothing of the others, and all are counted."""

import itertools
import re
import sys
import tomllib
from pathlib import Path

import pytest

from tests import levels
from tests.levels import Check, Marked, Outcome

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


def test_every_test_belongs_to_exactly_one_level() -> None:
    markers = ("kafka", "chromium", "prometheus", "chaos", "simulation", "vllm")
    selections = [level.markers for level in levels.LEVELS if isinstance(level, Marked)]

    for present in itertools.product((False, True), repeat=len(markers)):
        test = dict(zip(markers, present, strict=True))
        assert sum(eval(selection, {}, test) for selection in selections) == 1, test  # noqa: S307  # our own words


def test_plain_pytest_is_the_fast_level() -> None:
    options = tomllib.loads((levels.ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]

    assert set(re.findall(r"\w+", options.split("not (")[1])) == {
        "benchmark", "slow", "or", "kafka", "chromium", "prometheus", "chaos", "simulation", "vllm",
    }  # fmt: skip
