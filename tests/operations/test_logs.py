"""The log that `tessera run` writes: text or JSON, and bounded for each kind of line."""

import io
import json
import logging

import pytest
from click.testing import CliRunner

from workers.cli import cli
from workers.operations.logs import MOST_LINES, PERIOD_S, Ration, logging_to
from workers.stream.operator_lines import ENGINE_DOWN, PARTITION_OPENED

LOG = logging.getLogger("workers.tests")
OPENED = {"stage": "scoring", "topic": "t", "partition": 3, "offset": 17}


@pytest.mark.parametrize("as_json", [True, False])
def test_lines_are_written_with_their_time_level_and_sentences(as_json: bool) -> None:
    stream = io.StringIO()
    with logging_to(stream, as_json=as_json):
        PARTITION_OPENED.tell(LOG, **OPENED)
        ENGINE_DOWN.tell(LOG, error=OSError("no\nroute"))
    PARTITION_OPENED.tell(LOG, **OPENED)  # to nobody any more

    if as_json:
        first, second = map(json.loads, stream.getvalue().splitlines())
        assert first | OPENED == first
        assert [first[name] for name in ("level", "line", "do")] == ["info", "partition_opened", PARTITION_OPENED.do]
        assert first["time"].endswith("Z")
        assert (second["level"], second["error"]) == ("warning", "no\nroute")
    else:
        first_line = stream.getvalue().splitlines()[0]
        assert " info: stage scoring: t partition 3 is open and goes on at offset 17. Whoever had it" in first_line


def test_a_line_of_somebody_else_is_json_too() -> None:
    stream = io.StringIO()
    with logging_to(stream, as_json=True):
        logging.getLogger("asyncio").warning("slow: %s", "{task}")

    row = json.loads(stream.getvalue())
    assert (row["line"], row["happened"], row["level"]) == ("asyncio", "slow: {task}", "warning")


def test_a_kind_of_line_is_shown_so_often_in_a_minute_and_then_says_what_was_left_out() -> None:
    clock, stream, most = [0.0], io.StringIO(), 3
    ration = Ration(most, lambda: clock[0])
    record = logging.LogRecord("workers.a", logging.INFO, "", 0, "a", None, None)
    other = logging.LogRecord("workers.b", logging.INFO, "", 0, "b", None, None)

    assert [ration.filter(record) for _ in range(5)] == [True] * most + [False] * 2
    assert ration.filter(other)
    clock[0] += PERIOD_S
    assert ration.filter(record) and record.left_out == 2  # type: ignore[attr-defined]

    with logging_to(stream, as_json=True):
        for _ in range(2 * MOST_LINES):
            PARTITION_OPENED.tell(LOG, **OPENED)
    assert len(stream.getvalue().splitlines()) == MOST_LINES


def test_everything_that_a_run_says_with_log_json_is_json() -> None:
    environment = {
        "TESSERA_ALLOW_PLAINTEXT": "true",
        "TESSERA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "TESSERA_SAMPLING_KEY": "s" * 32,
    }
    run = ["run", "generation", "--log-json", "--metrics-port", "0", "--engine"]

    failed = CliRunner().invoke(cli, [*run, "null"], env=environment)
    refused = CliRunner().invoke(cli, [*run, "nonsense"], env=environment)

    rows = [json.loads(line) for line in (failed.stderr + refused.stderr).splitlines()]
    assert (failed.exit_code, refused.exit_code) == (70, 2)
    assert rows[0]["happened"].startswith("tessera run generation") and rows[-1]["level"] == "error"
    assert [row["happened"].count("exit code 70") for row in rows if row["level"] == "error"] == [1, 0]
