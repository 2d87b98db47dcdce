"""`tessera offsets`: where each stage stands, and going on where records were deleted before they were worked on."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import click
from rich import box
from rich.table import Table

from workers.cli import options
from workers.cli.confirmation import require_yes
from workers.cli.offsets_set import set_
from workers.cli.topics import console
from workers.pipeline import GROUPS
from workers.settings import Settings
from workers.stream.admin.group_offsets import GroupOffset, accept_losses, standings


@click.group(cls=options.Group)
def offsets() -> None:
    """Show where each stage stands in its topic, and decide where it goes on."""


offsets.add_command(set_)


@offsets.command()
@options.bootstrap_servers
@options.as_json
def show(bootstrap_servers: str | None, as_json: bool) -> None:
    """Show where each stage stands, partition by partition.

    "committed" is what Kafka's group coordinator says, "position" where the stage goes on: its own log counts as well.
    "early" counts records that were finished before an earlier one, "deaths" how many processes may have ended at the
    next record: after three it becomes a dead letter. "deleted" are offsets that retention took before they were
    worked on; the stage does not start then. Exit code 1 if there are any.

    \b
    Example:
      tessera offsets show --json | jq 'select(.deleted > 0)'
    """
    found = asyncio.run(standings(Settings.read(bootstrap_servers=bootstrap_servers), GROUPS))
    if as_json:
        for one in found:
            click.echo(json.dumps(_row(one)))
    else:
        _print(found)
    if any(one.deleted_records for one in found):
        raise click.exceptions.Exit(1)


@offsets.command("accept-loss")
@options.bootstrap_servers
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.as_json
def accept_loss(bootstrap_servers: str | None, yes: bool, as_json: bool) -> None:
    """Let stages go on at the first record that is stored, where retention deleted records before they were worked on.

    Those queries get no reply and no bill: look for copies first. The stages concerned must not be running. Nothing
    else is moved.
    """
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    lost = [one for one in asyncio.run(standings(settings, GROUPS)) if one.deleted_records]
    if not lost:
        click.echo("no stage has lost a record: nothing to accept", err=True)
        return
    if not as_json:
        _print(lost)
    if not yes:
        require_yes(f"go on without {sum(one.deleted_records for one in lost)} offsets?")
    by_group: defaultdict[str, tuple[GroupOffset, ...]] = defaultdict(tuple)
    for one in lost:
        by_group[one.group] += (one,)
        if as_json:
            click.echo(json.dumps(_row(one) | {"to": one.first_stored}))
    asyncio.run(accept_losses(settings, by_group))


def _row(one: GroupOffset) -> dict[str, Any]:
    known = one.completion
    return {
        "group": one.group,
        "topic": one.topic,
        "partition": one.partition,
        "committed": one.committed,
        "position": one.offset,
        "first_stored": one.first_stored,
        "end": one.end,
        "early": None if known is None else len(known.done),
        "deaths": None if known is None else known.attempts,
        "deleted": one.deleted_records,
    }


def _print(found: Iterable[GroupOffset]) -> None:
    rows = [_row(one) for one in found]
    table = Table(box=box.SIMPLE_HEAD)
    for column in rows[0]:
        table.add_column(column.replace("_", " "), justify="left" if column in ("group", "topic") else "right")
    for row in rows:
        table.add_row(*("?" if cell is None else str(cell) for cell in row.values()))
    console().print(table)
