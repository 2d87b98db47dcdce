"""`tessera settle`: the settlement of logged auctions, again, by anyone."""

from typing import BinaryIO

import click

from schemas.lines import to_line
from workers.cli.scored import scored_events
from workers.cli.streams import write_utf8
from workers.mechanism.epochs import epoch_key
from workers.settings import DEMO_DRAW_KEY, Settings
from workers.settlement import settle_event


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
    write_utf8()
    secret = (Settings.read().draw_key or DEMO_DRAW_KEY).get_secret_value().encode()
    for event in scored_events(file):
        for settled in settle_event(event, epoch_key(secret, event.data.draw_epoch)):
            click.echo(to_line(settled))
