"""`tessera dlq send`: one record made a dead letter by hand, and its stage goes on behind it."""

import asyncio
import json

import click

from workers.cli import options
from workers.cli.confirmation import require_yes
from workers.errors import TesseraError
from workers.operations.redrive import parse_place
from workers.settings import Settings
from workers.stream.admin.set_aside import READERS, SetAside, set_aside


@click.command()
@click.argument("place", metavar="TOPIC/PARTITION/OFFSET")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.bootstrap_servers
@options.as_json
def send(place: str, yes: bool, bootstrap_servers: str | None, as_json: bool) -> None:
    """Make one record a dead letter by hand, and let its stage go on behind it.

    For a record that no worker gets past. The stage must not be running anywhere. The letter (reason SET_ASIDE) and the
    group's position are written in one transaction, and records behind it that were finished early stay finished.
    Where nobody can read what Kafka stores there, the letter holds the whole packed batch and says which offsets it
    covers. The record gets no reply and no bill, unless the letter is redriven. It needs the rights of the stage.

    \b
    Examples:
      tessera dlq send auction.query.submitted.v1/0/1234
      tessera dlq send auction.candidates.scored.v1/3/17 --yes --json
    """
    wanted, settings = parse_place(place, check_source), Settings.read(bootstrap_servers=bootstrap_servers)
    spec = READERS[wanted.topic]
    if not yes:
        require_yes(f"make {wanted} a dead letter, and let stage {spec.name} go on behind it?")
    done = asyncio.run(set_aside(settings, wanted))
    click.echo(json.dumps(_as_dict(done)) if as_json else _sentence(done))


def check_source(topic: str) -> str:
    """The name of a topic whose records can become dead letters. TesseraError: it is none."""
    if topic in READERS:
        return topic
    raise TesseraError(f"no stage makes dead letters of {topic!r}: they come from {', '.join(READERS)}")


def _as_dict(done: SetAside) -> dict[str, object]:
    record = done.record
    return {
        "record": record.place,
        "group": done.group,
        "committed_before": done.before.base,
        "committed": done.after.base,
        "early": len(done.after.done),
        "unreadable": record.flaw is not None,
    }


def _sentence(done: SetAside) -> str:
    record, after = done.record, done.after
    what = record.place if record.flaw is None else f"{record.place} ({record.flaw.message})"
    stands = "stands at" if after.base == done.before.base else "goes on at"
    early = f"; {len(after.done):,} beyond it are finished" if after.done else ""
    return f"{what} is a dead letter in {record.topic}.dlq; group {done.group} {stands} offset {after.base}{early}"
