"""`tessera prove`: the mechanism's theorems, measured on random auctions."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from workers.cli import options, render
from workers.cli.documents import require_writable, write_whole
from workers.mechanism.payments import RULES
from workers.truthfulness.properties import PROPERTIES
from workers.truthfulness.rule import in_expectation
from workers.truthfulness.trials import PropertyTally, run, tally

MOST_AUCTIONS = 10**9
HEADINGS = ("property", "statement", "checked", "worst margin", "tolerance there", "violations")
LEGEND = """\
Margins are micros, of `distribution` a probability; a margin above its tolerance is a violation. Shown is
the auction that used the largest share of its tolerance, which grows with the money and nats at stake:
`workers/truthfulness/properties.py` derives it. Last digits depend on the processor's floating point."""


@click.command()
@click.option("--auctions", type=click.IntRange(1, MOST_AUCTIONS), default=2_000, show_default=True, metavar="COUNT")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Names the campaign.")
@click.option(
    "--first", type=click.IntRange(0, MOST_AUCTIONS), default=0, show_default=True, help="Number of the first auction."
)
@click.option(
    "--rule",
    type=click.Choice(list(RULES)),
    default="offset",
    show_default=True,
    help="Payment rule: `offset` is the one that is billed, and whose prices the tolerances are made for.",
)
@click.option(
    "--markdown", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Also write the table to FILE."
)
@options.as_json
def prove(auctions: int, seed: int, first: int, rule: str, markdown: Path | None, as_json: bool) -> None:
    """Look for a counterexample to each of the mechanism's properties.

    Draws random auctions (up to 256 candidates and 64 advertisers, bids from a thousandth of a nat to a million, ties,
    duplicates, impossible replies) and measures on each how close it comes to breaking each theorem; for truthfulness
    by searching for a bid that pays by lying. Margins are micros, of `distribution` a probability; shown is the auction
    that used most of its tolerance, which grows with what is at stake. Two milliseconds an auction. Exit code 1: a
    property is violated; the numbers of such auctions repeat it with --first and --auctions 1.

    All of it is about bids on candidates that are there: what an advertiser's description does to the candidates is
    not measured, and can pay. The same theorems in real numbers, for all auctions, are proven in infra/trust/proof.

    \b
    Examples:
      tessera prove
      tessera prove --auctions 200000 --seed 1 --markdown properties.md
      tessera prove --rule no_offset --auctions 100
    """
    if markdown is not None:
        require_writable(markdown)
    rows = _trials(range(first, first + auctions), seed, rule)
    if as_json:
        for row in rows:
            click.echo(json.dumps(_fields(row)))
    else:
        _show(rows, f"tessera prove --rule {rule} --seed {seed} --auctions 1 --first")
    if markdown is not None:
        command = f"tessera prove --auctions {auctions} --seed {seed} --first {first} --rule {rule} --markdown FILE"
        write_whole(markdown, _markdown(rows, command))
    if any(row.violations for row in rows):
        raise SystemExit(1)


def _trials(numbers: Sequence[int], seed: int, rule: str) -> list[PropertyTally]:
    """The tallies; on a terminal a bar on standard error shows how far it is."""
    columns = (TextColumn("auctions"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=render.console(stderr=True), transient=True) as progress:
        findings = run(numbers, seed, in_expectation(rule))
        return tally(numbers, progress.track(findings, total=len(numbers)))


def _fields(row: PropertyTally) -> dict[str, object]:
    """One line for machines; what was not measured, or is no number, is null."""
    measured = {"worst_margin": row.worst.margin, "tolerance": row.worst.tolerance} if row.worst else {}
    numbers = {name: value if math.isfinite(value) else None for name, value in measured.items()}
    return {
        "property": row.name,
        "statement": PROPERTIES[row.name].statement,
        "checked": row.checked,
        "worst_margin": numbers.get("worst_margin"),
        "tolerance": numbers.get("tolerance"),
        "worst_auction": row.worst_auction,
        "violations": row.violations,
    }


def _cells(row: PropertyTally) -> tuple[str, ...]:
    worst = (f"{row.worst.margin:.2g}", f"{row.worst.tolerance:.2g}") if row.worst else ("–", "–")
    return (row.name, PROPERTIES[row.name].statement, f"{row.checked:,}", *worst, str(row.violations))


def _show(rows: Sequence[PropertyTally], again: str) -> None:
    """The table, and how to repeat the worst auction of each property that is broken."""
    table, console = Table(box=None, header_style="bold"), render.console()
    for heading in HEADINGS:
        if heading != "statement":  # too wide for a terminal; --json and --markdown have it
            table.add_column(heading, justify="left" if heading == "property" else "right")
    for row in rows:
        name, _, *cells = _cells(row)
        table.add_row(name, *cells, style="red" if row.violations else None)
    console.print(table)
    for row in rows:
        if row.violations:
            click.echo(f"{row.name} is violated; the worst case again: {again} {row.worst_auction}")


def _markdown(rows: Sequence[PropertyTally], command: str) -> str:
    """The same table as a page that says how it was made."""
    lines = [f"| {' | '.join(cells)} |" for cells in (HEADINGS, ("---",) * len(HEADINGS), *map(_cells, rows))]
    return "\n".join(["# The theorems, measured", "", f"Written by `{command}`.", "", LEGEND, "", *lines, ""])
