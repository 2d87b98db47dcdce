"""What a verification found, for people and for machines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import click
from rich import box
from rich.table import Table
from rich.text import Text

from workers.audit.log.invariants import SENTENCES, Invariant, InvariantRow, InvariantState, Report
from workers.cli import render
from workers.cli.visible import visible
from workers.receipts.words import counted

STYLES = {InvariantState.HELD: "green", InvariantState.BROKEN: "bold red", InvariantState.NOT_CHECKED: "yellow"}


@dataclass(frozen=True)
class Work:
    """How much was read, and how long it took."""

    records: int
    duration_s: float


def print_json(report: Report, work: Work) -> None:
    """One object for each invariant, and a last one with the totals."""
    rows = list(report.rows())
    for row in rows:
        click.echo(json.dumps(_object(row), ensure_ascii=False))
    totals = {
        "summary": "broken" if report.is_broken else "held",
        **{state.value.replace(" ", "_"): _numbers(rows, state) for state in InvariantState},
        "queries": report.counts[Invariant.SOURCE_COMPLETE]["stored"],
        "records": work.records,
        "duration_s": round(work.duration_s, 3),
    }
    click.echo(json.dumps(totals))


def _object(row: InvariantRow) -> dict[str, object]:
    return {
        "invariant": int(row.invariant),
        "id": row.invariant.id,
        "says": SENTENCES[row.invariant],
        "state": row.state.value.replace(" ", "_"),
        "checked": row.checked,
        "broken": row.broken,
        "counts": row.counts,
        "why": row.why,
        "examples": row.examples,
    }


def _numbers(rows: Sequence[InvariantRow], state: InvariantState) -> list[int]:
    return [int(row.invariant) for row in rows if row.state is state]


def print_table(report: Report, work: Work) -> None:
    """A row for each invariant, what was counted and what was not checked, examples, and the verdict."""
    console, rows = render.console(), list(report.rows())
    table = Table("", "invariant", box=box.SIMPLE_HEAD)
    for column in ("state", "checked", "broken"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        state = Text(row.state.value, style=STYLES[row.state])
        what = Text(f"{row.invariant.id}: {SENTENCES[row.invariant]}")
        if remarks := "; ".join([*_counted(row), *([f"not checked: {row.why}"] if row.why else [])]):
            what.append(f"\n{remarks}", style="dim")
        table.add_row(str(int(row.invariant)), what, state, f"{row.checked:,}", f"{row.broken:,}")
    console.print(table)
    _print_examples(rows)
    console.print(_verdict(report, rows, work))


def _counted(row: InvariantRow) -> list[str]:
    return [f"{count:,} {name}" for name, count in row.counts.items() if count]


def _print_examples(rows: Sequence[InvariantRow]) -> None:
    console = render.console()
    for row in rows:
        for sentence in row.examples:
            console.print(Text(visible(f"{int(row.invariant)} {row.invariant.id}: {sentence}")), soft_wrap=True)
        if (rest := row.broken - len(row.examples)) > 0:
            console.print(Text(f"{int(row.invariant)} {row.invariant.id}: and {rest:,} more", style="dim"))


def _verdict(report: Report, rows: Sequence[InvariantRow], work: Work) -> Text:
    broken, unchecked = _numbers(rows, InvariantState.BROKEN), _numbers(rows, InvariantState.NOT_CHECKED)
    said = f"broken: {', '.join(map(str, broken))}" if broken else "nothing is broken"
    if unchecked:
        said += f"; not checked: {', '.join(map(str, unchecked))}"
    queries = report.counts[Invariant.SOURCE_COMPLETE]["stored"]
    style = STYLES[InvariantState.BROKEN if broken else InvariantState.HELD]
    read = f"{counted(queries, 'query', 'queries')}, {counted(work.records, 'record')}"
    return Text(f"{read}: {said}; {work.duration_s:.1f} s", style=style)
