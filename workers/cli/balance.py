"""`tessera balance`: what each advertiser owes, from its bills and credits."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from typing import BinaryIO

import click
from rich.console import Group
from rich.table import Table
from rich.text import Text

from schemas.topics import CHARGED, CREDITED
from workers.app.bus import bus_of
from workers.cli import options, period, render
from workers.cli.balance_watch import watch
from workers.cli.ledger_source import Unreadable, count, file_events, log_file, stored_events
from workers.errors import TesseraError
from workers.ledger.account import Account
from workers.ledger.amounts import money
from workers.ledger.book import Book
from workers.receipts.statement import Period
from workers.receipts.words import counted
from workers.settings import Settings


@click.command()
@click.argument("advertiser_id", metavar="[ADVERTISER]", required=False)
@period.begin
@period.end
@log_file
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65_535),
    metavar="PORT",
    help="Go on counting all accounts, and serve /metrics for Prometheus at TESSERA_METRICS_HOST; 0 takes a free port.",
)
@options.bootstrap_servers
@options.as_json
def balance(
    advertiser_id: str | None,
    begin: datetime | None,
    end: datetime | None,
    file: BinaryIO | None,
    metrics_port: int | None,
    bootstrap_servers: str | None,
    as_json: bool,
) -> None:
    """Show what advertisers owe: all that they were charged, less what was credited, to the micro.

    Every bill and every credit of the topics, or of a file, is counted once. In double entry: what advertisers owe is
    the platform's revenue, and the trial balance, all debits less all credits, is 0. With --to it is what was owed
    then; with --from only what came since: a charge or credit belongs to the moment in which the broker took it.

    With --metrics-port nothing is printed: all bills and credits are counted as they come, until SIGTERM or Ctrl-C, and
    Prometheus is told the trial balance, what is owed, and what came twice; infra/prometheus has an alert on it.

    Exit code 1: the balances were made, but a record that nobody can read was passed over, or a bill came twice and is
    counted once; standard error says which.

    \b
    Examples:
      tessera balance
      tessera balance ovennest --json
      tessera balance --to 2026-12-01
      tessera balance --log auctions.jsonl
      tessera balance --metrics-port 9470
    """
    if metrics_port is not None:
        if advertiser_id or begin or end or file or as_json:
            raise click.UsageError("--metrics-port counts all accounts of the topics: it goes with no other option")
        asyncio.run(watch(Settings.read(bootstrap_servers=bootstrap_servers), metrics_port))
        return
    book, unreadable, limits = Book(), Unreadable(), Period(begin, end)
    if file:
        for placed in file_events(file, (CHARGED, CREDITED), advertiser_id, limits):
            count(book, placed, advertiser_id)
    else:
        settings = Settings.read(bootstrap_servers=bootstrap_servers)
        asyncio.run(_read(book, settings, advertiser_id, limits, unreadable))
    accounts = sorted(book.accounts.values(), key=lambda one: (one.currency, -one.balance_micros, one.advertiser_id))
    if not accounts:
        then = " in that time" if begin or end else ""
        if advertiser_id:
            raise TesseraError(f"there is no bill of {advertiser_id}{then}: `tessera balance` lists the ids with bills")
        raise TesseraError(f"there is no bill{then}: nobody owes anything")
    _print_json(book, accounts) if as_json else render.console().print(_table(book, accounts))
    unreadable.tell()
    if book.repeated:
        twice = counted(book.repeated, "bill or credit", "bills or credits")
        click.echo(f"tessera: {twice} came twice, and once is counted", err=True)
        raise SystemExit(1)


async def _read(
    book: Book, settings: Settings, advertiser_id: str | None, limits: Period, unreadable: Unreadable
) -> None:
    keys = [advertiser_id] if advertiser_id else None
    async for placed in stored_events(bus_of(settings), (CHARGED, CREDITED), unreadable, keys, limits):
        count(book, placed, advertiser_id)


def _print_json(book: Book, accounts: Sequence[Account]) -> None:
    """A line for each account, and a last one for each currency."""
    for account in accounts:
        row = {
            "advertiser_id": account.advertiser_id,
            "currency": account.currency,
            "charges": account.charges,
            "charged_micros": account.charged_micros,
            "credits": account.credits,
            "credited_micros": account.credited_micros,
            "balance_micros": account.balance_micros,
        }
        click.echo(json.dumps(row))
    for currency, difference in sorted(book.trial_balance().items()):
        revenue = book.revenue_micros[currency]
        click.echo(json.dumps({"currency": currency, "revenue_micros": revenue, "trial_balance_micros": difference}))


def _table(book: Book, accounts: Sequence[Account]) -> Group:
    table = Table("advertiser", box=None, header_style="bold")
    for column in ("charges", "charged", "credits", "credited", "balance"):
        table.add_column(column, justify="right")
    for one in accounts:
        amounts = [
            money(micros, one.currency) for micros in (one.charged_micros, one.credited_micros, one.balance_micros)
        ]
        table.add_row(one.advertiser_id, f"{one.charges:,}", amounts[0], f"{one.credits:,}", *amounts[1:])
    totals = [
        f"revenue {money(book.revenue_micros[currency], currency)}; trial balance {money(difference, currency)}"
        for currency, difference in sorted(book.trial_balance().items())
    ]
    return Group(table, Text("\n" + "\n".join(totals)))
