"""Recipes of the README, followed in a copy of the tree: a line, its part, and the contract."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
NOT_NEEDED = ("model", "__pycache__", "published", "samples", "*.zip", "*.html", "*.json", "*.jsonl")
MODEL = "workers/engines/embedded/model"  # names of engines in the tests say its temperature
WITHIN_S = 120.0

RULE = """
def yours(numbers: Numbers, allocation: Allocation, drawn: int) -> Floats:
    return {share} * outcome(numbers, allocation, drawn) + {rest} * offset(numbers, allocation, drawn)
"""
STAGE = """
class Yours:
    async def handle(self, event):
        {body}


def _yours(means: Means) -> Worker:
    return Yours()
"""
MEASURED = """from workers.incentives import measure
        return (event.follow(measure(event), source="yours", auction_id=event.data.auction_id, time=event.time),)"""
REPEATED = "return (event,)  # what it has read, back onto the topic that it reads"


def recipe(what: str) -> tuple[str, str, str]:
    """File, line and contract of a row of the table."""
    (row,) = re.findall(rf"^\| {what} \| (.*) \|$", PAGE, flags=re.MULTILINE)
    file, line, contract = (cell.strip("`") for cell in row.split(" | "))
    return file, line, contract


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("schemas", "workers", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns(*NOT_NEEDED))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / MODEL).symlink_to(ROOT / MODEL)
    return tmp_path


def add(tree: Path, what: str, source: str) -> str:
    """Follow the recipe: the part above its table, its line behind the table's last. Gives the contract."""
    file, line, contract = recipe(what)
    text = (tree / file).read_text(encoding="utf-8")
    kind = line[: line.index("(")]
    table = text.index(f"{kind}(", text.index("\n    for "))
    begin = text.rindex("\n\n", 0, table)
    indent = " " * 8
    with_line = f"{text[begin:table]}{line}\n{indent}{text[table:]}"
    (tree / file).write_text(f"{text[:begin]}\n{source}\n{with_line}", encoding="utf-8")
    return contract


def run(tree: Path, contract: str) -> subprocess.CompletedProcess[str]:
    """The contract's tests of `yours`, in that tree."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", contract, "-k", "yours"]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=WITHIN_S
    )


def test_a_payment_rule_that_follows_the_recipe_is_held_to_the_contract(tree: Path) -> None:
    contract = add(tree, "a payment rule", RULE.format(share=0.5, rest=0.5))

    done = run(tree, contract)

    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout


def test_a_payment_rule_that_invites_misreports_fails_the_contract(tree: Path) -> None:
    contract = add(tree, "a payment rule", RULE.format(share=0.0, rest=0.5))

    done = run(tree, contract)

    assert done.returncode == 1
    assert "test_a_rule_is_strategyproof_in_expectation[yours]" in done.stdout


def test_a_stage_that_follows_the_recipe_is_held_to_the_contract(tree: Path) -> None:
    contract = add(tree, "a stage", STAGE.format(body=MEASURED))

    done = run(tree, contract)

    assert (done.returncode, "4 passed" in done.stdout) == (0, True), done.stdout


def test_a_stage_that_writes_to_another_topic_fails_the_contract(tree: Path) -> None:
    contract = add(tree, "a stage", STAGE.format(body=REPEATED))

    done = run(tree, contract)

    assert done.returncode == 1
    assert "test_a_stage_publishes_to_the_topics_of_its_row_and_to_no_other[yours]" in done.stdout


@pytest.mark.parametrize("what", ["a stage", "a payment rule", "an engine", "a reward source", "an event", "a figure"])
def test_each_recipe_names_a_table_that_is_there(what: str) -> None:
    file, line, contract = recipe(what)
    table = re.search(r"`?\b(STAGES|RULES|KINDS|AnyChoice|TOPICS|EXPERIMENTS|StageSpec|Payment)\b", line)

    assert table is not None
    assert table[1] in (ROOT / file).read_text(encoding="utf-8")
    assert (ROOT / contract).exists()
