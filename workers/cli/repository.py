"""`tessera repository`: what a public repository of advertisements has to say."""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from typing import BinaryIO

import click

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.payload import Payload
from schemas.reply import ReplySettled
from schemas.topics import SCORED, SETTLED
from workers.app.bus import bus_of
from workers.cli import options, period
from workers.cli.ledger_source import Unreadable, file_events, log_file, stored_events
from workers.cli.streams import write_utf8
from workers.cli.witness import reading_bar
from workers.errors import TesseraError
from workers.receipts.statement import Period
from workers.reports.ad_repository import AdRepository
from workers.settings import Settings

TOPICS = (SCORED, SETTLED)


@click.group(cls=options.Group)
def repository() -> None:
    """Say in public who advertised, as the Digital Services Act asks of very large platforms (Article 39)."""


@repository.command()
@period.begin
@period.end
@log_file
@click.option(
    "--replies",
    is_flag=True,
    help="Also a line for each reply that was given with bids. A reply may repeat what somebody asked: read the law, "
    "and the replies, before they are public.",
)
@options.bootstrap_servers
def export(
    begin: datetime | None, end: datetime | None, file: BinaryIO | None, replies: bool, bootstrap_servers: str | None
) -> None:
    """Write one JSON object for each advertiser of a period to standard output.

    On whose behalf replies were influenced, what was advertised, who paid (another advertiser where they are one
    party), when replies were given from first to last and how many, how many named it, and the main parameter: how
    likely those replies were with its bid and without, and how likely a reply was to name it. There are no amounts,
    and nothing of who asked. How many people read a reply, and where, only whoever shows it knows.

    \b
    Examples:
      tessera repository export --from 2026-11-01 --to 2026-12-01 > november.jsonl
      tessera repository export --log auctions.jsonl --replies
    """
    write_utf8()
    report, unreadable = AdRepository(), Unreadable()
    with reading_bar("records") as advance:
        if file:
            for event, _ in file_events(file, TOPICS, period=Period(begin, end)):
                _count(report, event, replies)
                advance()
        else:
            settings = Settings.read(bootstrap_servers=bootstrap_servers)
            asyncio.run(_read(report, settings, Period(begin, end), unreadable, replies, advance))
    if not report.entries:
        raise TesseraError("there is no auction in that log and time in which somebody bid")
    for row in report.rows():
        click.echo(json.dumps(row, ensure_ascii=False))
    unreadable.tell()


async def _read(
    report: AdRepository,
    settings: Settings,
    period: Period,
    unreadable: Unreadable,
    replies: bool,
    advance: Callable[[], None],
) -> None:
    async with aclosing(stored_events(bus_of(settings), TOPICS, unreadable, period=period)) as events:
        async for event, _ in events:
            _count(report, event, replies)
            advance()


def _count(report: AdRepository, event: Event[Payload], replies: bool) -> None:
    data = event.data
    if isinstance(data, CandidatesScored):
        report.add_auction(event)  # type: ignore[arg-type]  # narrowed by its data
    elif isinstance(data, ReplySettled) and data.sponsors:
        report.add_reply(event)  # type: ignore[arg-type]  # narrowed by its data
        if replies:
            click.echo(json.dumps(_reply(data, event.taken_at), ensure_ascii=False))


def _reply(data: ReplySettled, at: datetime) -> dict[str, object]:
    return {
        "reply": data.reply,
        "presented_at": at.isoformat(),
        "on_behalf_of": [
            {
                "advertiser_id": one.advertiser_id,
                "name": one.name,
                "probability_with_bid": one.probability_with,
                "probability_without_bid": one.probability_without,
            }
            for one in data.sponsors
        ],
    }
