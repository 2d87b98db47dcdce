"""`tessera whatif`: logged auctions settled again under other terms."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import click

from schemas.topics import SCORED
from workers.app.bus import bus_of
from workers.cli import frontier_view, options, period, render, whatif_view
from workers.cli.documents import require_writable, write_whole
from workers.cli.ledger_source import Unreadable, file_events, log_file, stored_events
from workers.cli.log_plot import log_plot
from workers.cli.witness import reading_bar
from workers.errors import TesseraError
from workers.mechanism.payments import RULES
from workers.receipts.statement import Period
from workers.reports.frontier import frontier_report
from workers.reports.what_if import OtherTerms, WhatIf
from workers.settings import Settings

MOST_TERMS = 20


@click.command()
@click.option(
    "--tau",
    "taus",
    type=click.IntRange(1, 10**12),
    multiple=True,
    metavar="MICROS",
    help="Weight of the reference model, micros per nat; may be given several times.",
)
@click.option("--rule", type=click.Choice(list(RULES)), help="How charges follow from rewards.")
@click.option(
    "--without",
    multiple=True,
    metavar="ADVERTISER",
    help="Who stays away; may be given several times, for all of them.",
)
@click.option(
    "--frontier",
    is_flag=True,
    help="τ from an eighth to sixteen times what it was, and whether it is on the steep part.",
)
@period.begin
@period.end
@log_file
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write revenue and rewards over τ as a picture (SVG); needs --tau at least twice.",
)
@options.bootstrap_servers
@options.as_json
def whatif(
    taus: tuple[int, ...],
    rule: str | None,
    without: tuple[str, ...],
    frontier: bool,
    begin: datetime | None,
    end: datetime | None,
    file: BinaryIO | None,
    plot: Path | None,
    bootstrap_servers: str | None,
    as_json: bool,
) -> None:
    """Settle logged auctions again under other terms: another τ, another rule, or without an advertiser.

    Settlement is a pure function, so no model is needed: revenue, expected rewards, how far bids move replies (KL to
    the reference model), and each advertiser's charges, beside what they were. They are expectations over the replies
    that were sampled then, in closed form; nothing is drawn. Charges under `offset` and the terms of the log are the
    bills, to the micro.

    Bids are taken as they were, and so are the sampled replies. How advertisers would answer other terms is not in
    these numbers. Rules other than `offset` are for comparison: they are never billed.

    \b
    Examples:
      tessera whatif --tau 500 --tau 2000
      tessera whatif --frontier
      tessera whatif --without ovennest --from 2026-11-01 --to 2026-12-01 --json
      tessera whatif --log auctions.jsonl --tau 250 --tau 1000 --tau 4000 --plot tau.svg
    """
    if plot:
        require_writable(plot)
    if plot and len(set(taus)) < 2:
        raise TesseraError("a plot over τ needs at least two different --tau")
    if len(taus) > MOST_TERMS:
        raise TesseraError(f"{len(taus)} values of --tau: at most {MOST_TERMS} are compared at once")
    if frontier and (taus or rule or without):
        raise TesseraError("--frontier changes τ alone, by itself: leave out --tau, --rule and --without")
    report = frontier_report() if frontier else WhatIf(_terms(taus, rule, frozenset(without)))
    unreadable = Unreadable()
    with reading_bar("records") as advance:
        if file:
            for event, _ in file_events(file, (SCORED,), period=Period(begin, end)):
                report.add(event)  # type: ignore[arg-type]  # an event of SCORED
                advance()
        else:
            settings = Settings.read(bootstrap_servers=bootstrap_servers)
            asyncio.run(_read(report, settings, Period(begin, end), unreadable, advance))
    if not report.currencies:
        raise TesseraError("there is no auction in that log and time in which somebody bid")
    _tell(report, plot, as_json, frontier)
    unreadable.tell()


def _terms(taus: Sequence[int], rule: str | None, without: frozenset[str]) -> list[OtherTerms]:
    """One for each τ, or one with the τ of each auction where only something else differs."""
    if taus:
        return [OtherTerms(tau, rule, without) for tau in sorted(set(taus))]
    return [OtherTerms(None, rule, without)] if rule or without else []


async def _read(
    report: WhatIf, settings: Settings, period: Period, unreadable: Unreadable, advance: Callable[[], None]
) -> None:
    async for event, _ in stored_events(bus_of(settings), (SCORED,), unreadable, period=period):
        report.add(event)  # type: ignore[arg-type]  # an event of SCORED
        advance()


def _tell(report: WhatIf, plot: Path | None, as_json: bool, frontier: bool) -> None:
    if plot:
        if len(report.currencies) > 1:
            raise TesseraError(f"auctions in {' and '.join(report.currencies)}: a plot has one currency")
        write_whole(plot, log_plot(whatif_view.plot(report)))
    if as_json:
        for line in whatif_view.lines(report):
            click.echo(json.dumps(line, ensure_ascii=False))
    else:
        render.console().print((frontier_view if frontier else whatif_view).page(report))
    for warning in (frontier_view if frontier else whatif_view).warnings(report):
        click.echo(f"tessera: {warning}", err=True)
