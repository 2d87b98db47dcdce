"""What people ask who see a charge for the first time is answered where they look."""

import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.support.builders import make_scored, make_settled
from tests.support.forked_command import tessera
from workers.cli import COMMANDS, cli, render, statement_view
from workers.cli.console import Console
from workers.cli.doctor import _print_table
from workers.cli.topics import _cells
from workers.doctor.verdict import State, Verdict
from workers.ledger.amounts import money
from workers.pipeline import STAGES
from workers.receipts import words
from workers.receipts.query_result import Terminal
from workers.receipts.statement import StatementLog
from workers.stream.admin.description import GroupLag, TopicState
from workers.web.statement.page import page


def command(name: str) -> click.Command | None:
    return cli.get_command(click.Context(cli), name)


def test_the_demo_tells_ids_and_answers_what_a_stranger_asks() -> None:
    output = " ".join(tessera("demo", "--limit", "1").stdout.decode().split())

    assert "How do I bake cookies? demo-memory-001" in output
    assert "the sum of 2 charges" in output and "tried in 1 auction," in output
    assert words.WHAT_IS_PAID in output and words.WHAT_IS_DRAWN in output
    assert "tessera explain demo-memory-001 --from log.jsonl" in output


@pytest.mark.parametrize(
    ("odds", "micros", "shown"),
    [
        ((0.2, 0.5), (10, 20), ["SPONSORED", "Brand00: 20.0% → 50.0%", "Brand01: 50.0% → 50.0%", "  it moved other"]),
        ((0.9, 0.2), (10, 20), ["SPONSORED", "Brand01: 20.0% → 50.0%", "Brand00: 90.0% → 50.0%", "less likely"]),
        ((0.5, 0.5), (0, 0), [words.UNMOVED, "Brand00: 50.0% → 50.0%", "nothing is due"]),
    ],
    ids=["one gained", "one lost", "nobody moved it"],
)
def test_who_gained_most_comes_first_and_an_unmoved_reply_is_not_labelled(
    odds: tuple[float, float], micros: tuple[int, int], shown: list[str]
) -> None:
    settled, charges = make_settled(make_scored(1))
    changes = zip(odds, micros, charges, strict=True)
    bills = tuple(
        replace(
            bill,
            data=bill.data.model_copy(
                update={"probability_without": without, "probability_with": 0.5, "charge_micros": owed}
            ),
        )
        for without, owed, bill in changes
    )
    console = Console(file=StringIO(), width=100)

    console.print(render.terminal("How?", Terminal("query-1", settled, bills)))

    output = console.file.getvalue()  # type: ignore[attr-defined]
    places = [output.index(one) for one in shown]
    assert places == sorted(places)
    assert ("SPONSORED" in output) is (shown[0] == "SPONSORED")


@pytest.mark.parametrize(
    ("given", "meant"), [("dmeo", "demo"), ("setle", "settle"), ("topic", "topics"), ("statment", "statement")]
)
def test_a_command_that_nearly_is_one_is_named(given: str, meant: str) -> None:
    done = CliRunner().invoke(cli, [given])

    assert (done.exit_code, f"No such command '{given}'. Did you mean '{meant}'?" in done.output) == (2, True)


def test_where_a_shell_would_not_find_us_the_demo_says_where_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(called: str, path: str) -> str:
        monkeypatch.setattr("sys.argv", [called])
        monkeypatch.setenv("PATH", path)
        return render.command()

    own = str(Path(sys.executable).parent)
    assert shown(f"{own}/tessera", own) == shown("workers/__main__.py", "/nowhere") == "tessera"
    assert shown(f"{Path.cwd()}/.venv/bin/tessera", "/nowhere") == ".venv/bin/tessera"


@pytest.mark.parametrize("given", [[], ["here", "--out", "there"]], ids=["none", "two"])
def test_a_copy_has_one_folder_given_in_either_way(given: list[str]) -> None:
    done = CliRunner().invoke(cli, ["sink", "parquet", *given])

    assert done.exit_code == 2 and "as FOLDER or as --out FOLDER" in done.output


def test_the_same_advice_is_given_once(capsys: pytest.CaptureFixture[str]) -> None:
    found = [Verdict("kafka", name, State.UNKNOWN, "none of the topics is there", "make them") for name in "abc"]

    _print_table([*found, Verdict("kafka", "d", State.FAILED, "away", "look at it")])

    said = capsys.readouterr().out
    assert (said.count("none of the topics"), said.count("make them"), said.count("look at it")) == (3, 1, 1)


def test_a_statement_fits_a_terminal_of_80_columns() -> None:
    scored = make_scored(1, query_id="ask-0123456789abcdef0123456789abcdef")
    log, (settled, charges) = StatementLog("advertiser-00"), make_settled(scored)
    for event in (settled, *charges):
        log.add(event, 0)
    found, console = log.statement("USD"), Console(file=StringIO(), width=80)

    console.print(statement_view.statement(found))

    (line,) = found.lines
    rows = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    whole = [f"{line.charged_at:%Y-%m-%d %H:%M:%S}", money(line.charge_micros, "USD")]
    assert any(all(one in row for one in whole) for row in rows), rows


def test_verify_says_why_no_ledger_is_checked() -> None:
    said = " ".join(CliRunner().invoke(cli, ["verify", "--help"]).output.split())

    assert "no topic holds accounts; `tessera balance` folds them" in said and "no ledger yet" not in said


def test_one_of_a_thing_is_not_called_many() -> None:
    scored = make_scored(1)
    settled, charges = make_settled(scored)
    log = StatementLog("advertiser-00")
    for event in (scored, settled, *charges):
        log.add(event, 0)

    found = log.statement("USD")

    assert "(mean of 1 auction, exact)" in statement_view.lift(found)
    assert "The mean over 1 auction." in (html := page(found))
    assert "+ 1 charge<" in html and "1 charges" not in html and "1 credits" not in html


@pytest.mark.parametrize("group", [name for name in COMMANDS if isinstance(command(name), click.Group)])
def test_a_group_says_in_a_whole_sentence_what_each_of_its_commands_does(group: str) -> None:
    listed = CliRunner().invoke(cli, [group, "--help"]).output.partition("Commands:")[2]

    assert listed and not [line for line in listed.splitlines() if line.endswith("...")]


def test_a_stage_that_no_reply_waits_for_is_called_optional() -> None:
    groups = tuple(GroupLag(STAGES[name].group, 5, 0) for name in ("settlement", "incentives"))

    cells = _cells(TopicState("t", 1, 1, 0, 0, 5, groups))

    assert "none\nnone, optional" in cells
