"""Bills, credits and what they are about: from Kafka, or from a file with one event a line."""

from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import BinaryIO

import click

from schemas.billing import AdvertiserCharged, AdvertiserCredited
from schemas.envelope import Event, from_record
from schemas.lines import read_event
from schemas.payload import BadRecord, Payload
from schemas.record import Record
from schemas.topics import BY_NAME, Topic
from workers.cli.visible import visible
from workers.errors import TesseraError
from workers.ledger.book import Book
from workers.ledger.entries import charge_entry, credit_entry
from workers.receipts.statement import Period
from workers.stream.kafka import KafkaBus

ALWAYS = Period()
Placed = tuple[Event[Payload], int]  # with its offset, or the number of its line

log_file = click.option(
    "--log",
    "file",
    type=click.File("rb"),
    metavar="FILE|-",
    help="CloudEvents lines, as `tessera demo --json` prints them, instead of Kafka.",
)


@dataclass
class Unreadable:
    """Records of Kafka that could not be read: what they would have changed is not known."""

    count: int = 0
    first: str = ""

    def add(self, record: Record, error: BadRecord) -> None:
        self.count += 1
        self.first = self.first or f"{record.place}: {error.reason.name}: {error}"

    def tell(self) -> None:
        """A line on standard error, and exit code 1, where there were any."""
        if self.count:
            records = "a record was" if self.count == 1 else f"{self.count:,} records were"
            click.echo(
                f"tessera: {records} passed over, which nobody can read; the first: {visible(self.first)}", err=True
            )
            raise SystemExit(1)


def count(book: Book, placed: Placed, advertiser_id: str | None = None) -> None:
    """Count a bill or a credit; of that advertiser only, if one is given."""
    data, offset = placed[0].data, placed[1]
    if isinstance(data, AdvertiserCharged) and advertiser_id in (None, data.advertiser_id):
        book.add(charge_entry(data, offset))
    elif isinstance(data, AdvertiserCredited) and advertiser_id in (None, data.advertiser_id):
        book.add(credit_entry(data, offset))


async def stored_events(
    bus: KafkaBus,
    topics: Sequence[Topic],
    unreadable: Unreadable,
    keys: Collection[str] | None = None,
    period: Period = ALWAYS,
) -> AsyncGenerator[Placed, None]:
    """The events of a period, or those of it with one of the keys; a single key is sought only where it belongs."""
    wanted = None if keys is None else {key.encode() for key in keys}
    only = next(iter(wanted)) if wanted is not None and len(wanted) == 1 else None
    names = [topic.name for topic in topics]
    async with aclosing(bus.stored_in(names, period.begin, period.end, only)) as records:
        async for record in records:
            if wanted is not None and record.key not in wanted:
                continue
            try:
                event = from_record(record, BY_NAME[record.topic])
            except BadRecord as error:
                unreadable.add(record, error)
                continue
            if period.holds(event.taken_at):
                yield event, record.offset


def file_events(
    file: BinaryIO, topics: Sequence[Topic], named: str | None = None, period: Period = ALWAYS
) -> Iterator[Placed]:
    """The file's events of these topics in a period, or those that name an id. TesseraError: the line that cannot be
    read.
    """
    needle = f'"{named}"'.encode() if named else b""
    for number, line in enumerate(file, 1):
        if needle in line:
            event = _event(file.name, number, line, topics)
            if event is not None and period.holds(event.taken_at):
                yield event, number


def _event(file: str, number: int, line: bytes, topics: Sequence[Topic]) -> Event[Payload] | None:
    try:
        found = (read_event(line, topic) for topic in topics if topic.name.encode() in line)
        return next((event for event in found if event is not None), None)
    except BadRecord as error:
        raise TesseraError(f"{file}, line {number}: {error.reason.name}: {error}") from None
