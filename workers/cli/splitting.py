"""`tessera splitting`: which advertisers may be one party that bids in parts."""

import json
from collections.abc import Sequence
from typing import BinaryIO

import click
from rich.console import Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from workers.cli import options, render
from workers.cli.scored import scored_events
from workers.held import is_held
from workers.ledger.amounts import money
from workers.receipts.words import counted
from workers.truthfulness.split_bids import MIN_AUCTIONS, MIN_COSINE, SuspectPair
from workers.truthfulness.split_bids_watch import SplittingReport

MEANING = (
    "Wishes this much alike, auction after auction, may be one party's. Under several names it pays less than under "
    "one, for the same replies; `lost` is the difference for the two of them. It is no proof: honest advertisers can "
    "want the same. Where you find that they are one party, declare them a link group, so that they bid as one."
)


@click.command()
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@click.option(
    "--min-auctions",
    type=click.IntRange(min=1),
    default=MIN_AUCTIONS,
    show_default=True,
    metavar="N",
    help="Suspect only pairs that shared at least so many auctions.",
)
@click.option(
    "--min-cosine",
    type=click.FloatRange(-1.0, 1.0),
    default=MIN_COSINE,
    show_default=True,
    metavar="C",
    help="Suspect only pairs whose wishes are at least this collinear; 1 is parts of one bid.",
)
@options.as_json
def splitting(file: BinaryIO, min_auctions: int, min_cosine: float, as_json: bool) -> None:
    """Report advertisers that may be one party bidding in parts, from the scored events of past auctions.

    An advertiser that bids under k names, each with a part of its wishes, gets the same replies and pays less. What
    gives it away: the parts' rewards rise and fall together over the candidates, in every auction they share. This
    report compares each pair of advertisers and shows those with a cosine of at least --min-cosine over at least
    --min-auctions auctions, and what the two as one would have been charged more.

    FILE holds one event a line: CloudEvents lines as `tessera demo --json` prints them (other types of event are
    passed over), or bare values as `kafka-console-consumer` prints them. It is a report, not a verdict: the exit code
    is 0 with suspects too.

    \b
    Examples:
      tessera splitting scored.jsonl
      tessera splitting --min-auctions 100 --min-cosine 0.9 scored.jsonl
      tessera demo --json | tessera splitting --json -
    """
    report = _read(file)
    suspects = report.suspects(min_auctions, min_cosine)
    if as_json:
        for currency, pair in suspects:
            click.echo(json.dumps(_row(currency, pair)))
    else:
        render.console().print(_answer(report, suspects, min_auctions))
    if report.evicted:
        click.echo(
            f"{report.evicted} rarely seen pairs were dropped for want of room and may be missing here", err=True
        )


def _read(file: BinaryIO) -> SplittingReport:
    """All auctions of the file, with a count on the way where somebody watches."""
    report, console = SplittingReport(), render.console(stderr=True)
    columns = (TextColumn("auctions"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=None)
        for event in scored_events(file):
            if is_held(event):
                report.add(event.data)
            progress.advance(bar)
    return report


def _row(currency: str, pair: SuspectPair) -> dict[str, object]:
    return {
        "advertiser_ids": pair.ids,
        "auctions": pair.auctions,
        "cosine": pair.cosine,
        "size_ratio": pair.size_ratio,
        "lost_micros": round(pair.lost_micros),
        "currency": currency,
    }


def _answer(report: SplittingReport, suspects: Sequence[tuple[str, SuspectPair]], min_auctions: int) -> RenderableType:
    counts = Text(
        f"{counted(report.auctions, 'auction')}. Pairs of advertisers that met: {report.pairs}; "
        f"in {counted(min_auctions, 'auction')} or more: {report.judged(min_auctions)}; "
        f"of these suspected of bidding in parts: {len(suspects)}."
    )
    return Group(counts, Text(), _table(suspects), Text(f"\n{MEANING}")) if suspects else counts


def _table(suspects: Sequence[tuple[str, SuspectPair]]) -> Table:
    table = Table("advertiser", "and", box=None, header_style="bold")
    for column in ("auctions", "cosine", "sizes", "lost"):
        table.add_column(column, justify="right")
    for currency, pair in suspects:
        lost = money(round(pair.lost_micros), currency)
        table.add_row(*pair.ids, str(pair.auctions), f"{pair.cosine:.4f}", f"{pair.size_ratio:.3g} : 1", lost)
    return table
