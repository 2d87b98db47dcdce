"""Each line of a worker's log says what happened, what it means and what to do, and none is told in another way."""

import ast
import logging
from functools import cache
from pathlib import Path
from string import Formatter

import pytest

from schemas.dead_letter import Header
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from workers.operations.monitor import Monitor
from workers.pipeline import STAGES
from workers.stage import Stage
from workers.stream import operator_lines
from workers.stream.deduplication.deduplicator import Once
from workers.stream.operator_lines import LINES, Line, Told
from workers.stream.processing import Unworkable, process, report

WORKERS = Path(operator_lines.__file__).parent.parent
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
TELLS_BY_ITSELF = {WORKERS / "stream" / "operator_lines.py", WORKERS / "cli" / "run.py"}  # the latter what ends it
FEWEST_WORDS = 3


def fields(line: Line) -> set[str]:
    said = " ".join((line.happened, line.means, line.do))
    return {name for _, name, _, _ in Formatter().parse(said) if name is not None}


@cache
def calls() -> list[tuple[Path, ast.Call, str, str]]:
    """Every call of a method that logs or tells: where, the call, the name that it is called of, and the method."""
    return [
        (path, node, ast.unparse(node.func.value), node.func.attr)
        for path in sorted(WORKERS.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {*LEVELS, "tell"}
    ]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_line_says_what_happened_what_it_means_and_what_to_do(line: Line) -> None:
    said = Told(line, dict.fromkeys(fields(line), "x")).sentences()

    assert [*said] == ["happened", "means", "do"]
    assert all(len(part.split()) >= FEWEST_WORDS and not part.endswith(".") for part in said.values()), said
    assert said["means"][0].isupper() and said["do"][0].isupper()
    assert (
        line.level == logging.INFO
        or line.do != operator_lines.NOTHING
        or line in (operator_lines.ENGINE_BACK, operator_lines.KAFKA_BACK)
    )
    assert not fields(line) & {"time", "level", "line", "left_out", *said}  # they have these names in JSON


def test_names_of_lines_are_unique() -> None:
    assert len({line.name for line in LINES}) == len(LINES)


def test_nothing_is_logged_but_these_lines() -> None:
    others = [
        f"{path.relative_to(WORKERS)}:{call.lineno}"
        for path, call, owner, method in calls()
        if owner in ("log", "logger", "logging") and method in LEVELS and path not in TELLS_BY_ITSELF
    ]

    assert not others


def test_every_line_is_told_somewhere_with_its_fields() -> None:
    names = {name: value for name, value in vars(operator_lines).items() if isinstance(value, Line)}
    told = {owner for _, _, owner, method in calls() if method == "tell" and owner in names}
    handed_on = {"PARTITIONS_ASSIGNED", "PARTITIONS_LET_GO"}  # to a method of the stage's loop
    assert told | handed_on == {*names}
    for path, call, owner, method in calls():
        if method == "tell" and owner in names and all(keyword.arg for keyword in call.keywords):
            assert {keyword.arg for keyword in call.keywords} == fields(names[owner]), f"{path}:{call.lineno}"


async def test_a_dead_letter_is_told_with_its_place_and_without_what_a_person_wrote(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec = STAGES["generation"]
    record = Record(
        spec.consumes.name,
        b"q-1\nforged",
        b'{"text": "my secret"}',
        [(Header.TOPIC.value, b"\xff")],
        partition=3,
        offset=9,
    )
    stage: Stage = Stage(spec, None, 1)  # type: ignore[arg-type]  # its worker is not asked
    monitor = Monitor(stages=[spec.name], currency="USD", engine="null")
    refusal = Unworkable(DeadLetterReason.BAD_SCHEMA, "text: my secret")

    with caplog.at_level(logging.INFO, "workers"):
        report([await process(stage, record, monitor, Once(None), refusal)], spec.name, monitor)

    (line,) = caplog.messages
    assert f"{spec.consumes.name} partition 3 offset 9, query q-1\\nforged, became a dead letter: BAD_SCHEMA" in line
    assert "secret" not in line and "\n" not in line
