"""`tessera export`: the topics as a file that `settle`, `audit`, `explain` and `splitting` read."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import click

from schemas.envelope import from_record
from schemas.lines import dead_letter_line, to_line
from schemas.payload import BadRecord, UnknownValue
from schemas.record import Record
from schemas.topics import BY_NAME, DEAD_LETTERS
from workers.app.bus import bus_of
from workers.audit.entries import READ_FIRST, TOPICS
from workers.cli import options
from workers.cli.streams import write_utf8
from workers.cli.visible import visible
from workers.cli.witness import reading_bar
from workers.errors import TesseraError
from workers.settings import Settings

NAMES = (*(topic.name for topic in TOPICS), *DEAD_LETTERS)


@click.command()
@options.bootstrap_servers
def export(bootstrap_servers: str | None) -> None:
    """Write what the topics hold of auctions to standard output, as CloudEvents lines, one event each.

    These are credits, then scored and settled events, bills, commitments and dead letters, from the first committed
    record to the last, the older first, each with the time at which the broker took it. The file takes the topics'
    place for `tessera audit`, `explain`, `statement`, `settle` and `splitting`, on a machine that does not reach Kafka
    or years later.

    A record that is no event of its topic has no line: how many there were is said on standard error.

    \b
    Examples:
      tessera export > auctions.jsonl
      tessera export | tessera audit -
    """
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    write_utf8()
    asyncio.run(_export(settings))


async def _export(settings: Settings) -> None:
    written, unreadable, first = 0, 0, ""
    with reading_bar("records") as advance:
        async with aclosing(_stored(settings)) as records:
            async for record in records:
                try:
                    click.echo(_line(record))
                    written += 1
                except BadRecord as error:
                    unreadable, first = unreadable + 1, first or f"{record.place}: {error.reason.name}: {error}"
                advance()
    if unreadable:
        click.echo(
            f"tessera: {unreadable:,} records are no events and have no line; the first: {visible(first)}", err=True
        )
    if not written:
        raise TesseraError(f"the topics at {settings.bootstrap_servers} hold no auction yet: nothing is written")


async def _stored(settings: Settings) -> AsyncGenerator[Record, None]:
    """Credits first: an audit that reads the lines once compares them with bills as they come."""
    for names in (READ_FIRST, NAMES):
        async with aclosing(bus_of(settings).stored(names)) as records:
            async for record in records:
                yield record


def _line(record: Record) -> bytes:
    """The record as a line. TesseraError: only a newer release knows a word of it, so a file would lack it."""
    if record.topic in DEAD_LETTERS:
        return dead_letter_line(record)
    try:
        return to_line(from_record(record, BY_NAME[record.topic]))
    except UnknownValue as error:
        raise TesseraError(f"{record.place}: {error}: export with the release that wrote it, or a newer one") from None
