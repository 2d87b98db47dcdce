"""`tessera settle`: the settlement of logged auctions, again, by anyone."""

from collections.abc import Iterator
from typing import BinaryIO

import click

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.lines import read_event, to_line
from schemas.payload import BadRecord
from schemas.topics import SCORED
from workers.errors import TesseraError
from workers.settings import DEMO_DRAW_KEY, Settings
from workers.settlement import Settlement


@click.command()
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
def settle(file: BinaryIO) -> None:
    """Settle scored events again and print the settled and charged events, one JSON line each.

    FILE holds one event a line: CloudEvents lines as `tessera demo --json` prints them (other types of event are
    passed over), or bare values as `kafka-console-consumer` prints them. Settlement is a pure function: the charges
    are those on the billing topic to the micro, and with the same TESSERA_DRAW_KEY so is the reply that was drawn.
    Without that variable the draw uses the public key of `tessera demo`.

    \b
    Examples:
      tessera demo --json --limit 1 | tessera settle -
      tessera settle scored.jsonl
    """
    key = Settings.read().draw_key or DEMO_DRAW_KEY
    settlement, found = Settlement(key.get_secret_value().encode()), False
    for event in _scored(file):
        found = True
        for settled in settlement.settle(event):
            click.echo(to_line(settled))
    if not found:
        raise TesseraError(f"{file.name} has no {SCORED.name} event in it")


def _scored(file: BinaryIO) -> Iterator[Event[CandidatesScored]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            event = read_event(line, SCORED)
        except BadRecord as error:
            raise TesseraError(f"{file.name}, line {number}: {error.reason.name}: {error}") from None
        if event is not None:
            yield event  # type: ignore[misc]  # an event of SCORED holds CandidatesScored
