"""`tessera export`: the topics as a file that `settle`, `audit`, `explain` and `splitting` read."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime

import click

from schemas.envelope import from_record
from schemas.lines import dead_letter_line, query_line, to_line
from schemas.payload import BadRecord, UnknownValue
from schemas.record import Record
from schemas.topics import BY_NAME, COMMITMENTS, DEAD_LETTERS, QUERIES
from workers.app.bus import bus_of
from workers.audit.entries import READ_FIRST, SOURCES, TOPICS
from workers.cli import options, period
from workers.cli.streams import write_utf8
from workers.cli.visible import visible
from workers.cli.witness import reading_bar
from workers.errors import TesseraError
from workers.receipts.statement import Period
from workers.receipts.words import counted
from workers.settings import Settings

NAMES = (*(topic.name for topic in TOPICS), *DEAD_LETTERS)


@click.command()
@period.begin
@period.end
@click.option("--queries", is_flag=True, help="Also what was asked and what was generated, as long as it is kept.")
@options.bootstrap_servers
def export(begin: datetime | None, end: datetime | None, queries: bool, bootstrap_servers: str | None) -> None:
    """Write what the topics hold of auctions to standard output, as CloudEvents lines, one event each.

    These are credits, then scored and settled events, bills, commitments and dead letters, from the first committed
    record to the last, the older first, each with the time at which the broker took it. The file takes the topics'
    place for `tessera audit`, `explain`, `statement`, `settle` and `splitting`, on a machine that does not reach Kafka
    or years later.

    --from and --to choose what the broker took in a period. Commitments to draw keys are written all the same: they
    are few, and a draw is checked with a commitment from before it and a key from after it. Of auctions that lie across
    an end of the period only a part is in the file.

    --queries writes queries and generated events first, which are kept for 7 and 3 days: `tessera audit` then compares
    every auction with its query. They hold what people asked, and every draft of a reply: keep such a file as you keep
    those.

    A record that is no event of its topic has no line: how many there were is said on standard error.

    \b
    Examples:
      tessera export > auctions.jsonl
      tessera export | tessera audit -
      tessera export --from 2026-11-01 --to 2026-12-01 > november.jsonl
    """
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    write_utf8()
    asyncio.run(_export(settings, Period(begin, end), with_sources=queries))


async def _export(settings: Settings, limits: Period, *, with_sources: bool) -> None:
    written, unreadable, first = 0, 0, ""
    with reading_bar("records") as advance:
        async with aclosing(_stored(settings, limits, with_sources=with_sources)) as records:
            async for record in records:
                try:
                    click.echo(_line(record))
                    written += 1
                except BadRecord as error:
                    unreadable, first = unreadable + 1, first or f"{record.place}: {error.reason.name}: {error}"
                advance()
    if unreadable:
        click.echo(
            f"tessera: without a line: {counted(unreadable, 'record')} that is no event; the first: {visible(first)}",
            err=True,
        )
    if not written:
        when = "of that time" if limits != Period() else "yet"
        raise TesseraError(f"the topics at {settings.bootstrap_servers} hold no auction {when}: nothing is written")


async def _stored(settings: Settings, limits: Period, *, with_sources: bool) -> AsyncGenerator[Record, None]:
    """What an audit that reads the lines once compares later ones with comes first: queries, and credits."""
    for names, wanted in [(SOURCES, limits)] * with_sources + _parts(limits):
        async with aclosing(bus_of(settings).stored_in(names, wanted.begin, wanted.end)) as records:
            async for record in records:
                if wanted.holds(record.time):
                    yield record


def _parts(limits: Period) -> list[tuple[Sequence[str], Period]]:
    """Topics to be read together, and what of them; in a period commitments come apart, whole."""
    if limits == Period():
        return [(READ_FIRST, limits), (NAMES, limits)]
    others = [name for name in NAMES if name != COMMITMENTS.name]
    return [(READ_FIRST, limits), ([COMMITMENTS.name], Period()), (others, limits)]


def _line(record: Record) -> bytes:
    """The record as a line. TesseraError: only a newer release knows a word of it, so a file would lack it."""
    if record.topic in DEAD_LETTERS:
        return dead_letter_line(record)
    try:
        event = from_record(record, BY_NAME[record.topic])
        return query_line(event) if record.topic == QUERIES.name else to_line(event)
    except UnknownValue as error:
        raise TesseraError(f"{record.place}: {error}: export with the release that wrote it, or a newer one") from None
