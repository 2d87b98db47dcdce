"""`tessera statement`: what one advertiser was charged in a period, and what that bought."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from schemas.envelope import Event
from schemas.statement import Statement
from schemas.topics import CHARGED, CREDITED, SCORED, SETTLED
from workers.app.bus import bus_of
from workers.cli import options, period, render, statement_view
from workers.cli.documents import require_writable, write_whole
from workers.cli.ledger_source import Unreadable, file_events, log_file, stored_events
from workers.cli.streams import write_utf8
from workers.cli.visible import visible
from workers.errors import TesseraError
from workers.receipts.statement import Period, StatementLog
from workers.settings import Settings
from workers.web.statement.page import MOST_ON_A_PAGE, page

TOPICS = (SCORED, SETTLED, CHARGED, CREDITED)


@click.command()
@click.argument("advertiser", metavar="ID|NAME")
@period.begin
@period.end
@click.option("--currency", metavar="CODE", help="Which account, of an advertiser that has more than one.")
@log_file
@click.option("--csv", "as_csv", is_flag=True, help="One row for each charge and credit, for a spreadsheet.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the statement as one self-contained page, to be printed.",
)
@options.bootstrap_servers
@options.as_json
def statement(
    advertiser: str,
    begin: datetime | None,
    end: datetime | None,
    currency: str | None,
    file: BinaryIO | None,
    as_csv: bool,
    html: Path | None,
    bootstrap_servers: str | None,
    as_json: bool,
) -> None:
    """Show an advertiser's charges of a period, with the replies they bought, its credits, and the sums.

    ID is the advertiser's, as in the bills. NAME stands for it where one advertiser alone has it.

    A charge belongs to the period in which the broker took its bill. Each line has the reply, its probability with the
    advertiser's bid and without, and how likely a reply was to name the advertiser, with and without: its exact lift,
    from the numbers of the auction. Replies and numbers are kept for 90 days, bills for 400.

    The lines are added up apart from the account, which the ledger folds from all bills and credits: the statement
    says whether the two are the same to the micro. With --json it is a document of the schema
    statement.advertiser.v1. In --csv, texts that a spreadsheet would take for formulas begin with an apostrophe.

    Exit code 1: the statement was made, but something in it does not fit; it says what.

    \b
    Examples:
      tessera statement ovennest --from 2026-11-01 --to 2026-12-01 --html november.html
      tessera statement ovennest --csv > charges.csv
      tessera statement ovennest --log auctions.jsonl
    """
    if html:
        require_writable(html)
    unreadable = Unreadable()
    source = _File(file) if file else _Kafka(Settings.read(bootstrap_servers=bootstrap_servers), unreadable)
    log = _read(source, advertiser, Period(begin, end))
    found = log.statement(_currency(log, currency))
    if html:
        _write(html, found)
    _print(found, html, as_csv, as_json)
    unreadable.tell()
    if found.problems:
        for problem in found.problems:
            click.echo(f"tessera: {visible(problem)}", err=True)
        raise SystemExit(1)


@dataclass(frozen=True)
class _File:
    """A log, one event a line."""

    file: BinaryIO

    def fill(self, log: StatementLog) -> None:
        for placed in file_events(self.file, TOPICS, log.advertiser_id):
            log.add(*placed)

    def ids_of(self, name: str) -> set[str]:
        """Whose bills have the name; of a pipe, which has been read, it is not known."""
        if not self.file.seekable():
            return set()
        self.file.seek(0)
        found = {id_ for event, _ in file_events(self.file, (CHARGED,)) if (id_ := _id_of(event, name))}
        self.file.seek(0)
        return found


@dataclass(frozen=True)
class _Kafka:
    """What the topics hold."""

    settings: Settings
    unreadable: Unreadable

    def fill(self, log: StatementLog) -> None:
        asyncio.run(self._fill(log))

    async def _fill(self, log: StatementLog) -> None:
        """The bills first: what they are about is looked for by query id."""
        bus = bus_of(self.settings)
        async for placed in stored_events(bus, (CHARGED, CREDITED), self.unreadable, [log.advertiser_id]):
            log.add(*placed)
        if wanted := log.query_ids:
            async for placed in stored_events(bus, (SCORED, SETTLED), self.unreadable, wanted):
                log.add(*placed)

    def ids_of(self, name: str) -> set[str]:
        return asyncio.run(self._ids_of(name))

    async def _ids_of(self, name: str) -> set[str]:
        stored = stored_events(bus_of(self.settings), (CHARGED,), Unreadable())
        return {id_ async for event, _ in stored if (id_ := _id_of(event, name))}


def _id_of(bill: Event[Any], name: str) -> str | None:
    """Whose bill it is, if that is the advertiser's name."""
    return bill.data.advertiser_id if bill.data.name == name else None


def _read(source: _File | _Kafka, advertiser: str, period: Period) -> StatementLog:
    """Of the advertiser with this id, or of the only one with this name. TesseraError: several have it."""
    log = StatementLog(advertiser, period)
    source.fill(log)
    if log.currencies or not (ids := source.ids_of(advertiser)):
        return log
    if len(ids) > 1:
        raise TesseraError(f"{advertiser} is the name of {', '.join(sorted(ids))}: give the id of one of them")
    (only,) = ids
    log = StatementLog(only, period)
    source.fill(log)
    return log


def _currency(log: StatementLog, wanted: str | None) -> str:
    known = log.currencies
    if not known:
        raise TesseraError(
            f"there is no bill of {log.advertiser_id} before the end of that time; `tessera balance` lists the ids of "
            "all who have one"
        )
    if wanted is None and len(known) > 1:
        raise TesseraError(f"{log.advertiser_id} has accounts in {' and '.join(known)}: choose one with --currency")
    if wanted is not None and wanted not in known:
        raise TesseraError(f"{log.advertiser_id} has no account in {wanted}; it has one in {' and '.join(known)}")
    return wanted or known[0]


def _write(path: Path, found: Statement) -> None:
    if len(found.lines) > MOST_ON_A_PAGE:
        raise TesseraError(
            f"a page of {len(found.lines):,} charges is too long to be read, the most is {MOST_ON_A_PAGE:,}: choose a "
            "shorter time, or --csv"
        )
    write_whole(path, page(found))


def _print(found: Statement, html: Path | None, as_csv: bool, as_json: bool) -> None:
    if as_json:
        click.echo(found.model_dump_json())
    elif as_csv:
        write_utf8()
        click.echo(statement_view.csv_text(found), nl=False)
    elif html:
        click.echo(f"{html}: the statement of {found.advertiser_id}, {statement_view.reconciliation(found)}")
    else:
        render.console().print(statement_view.statement(found))
