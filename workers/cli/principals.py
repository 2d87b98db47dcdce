"""`tessera principals`: who may do what in Kafka."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich import box
from rich.table import Table

from workers.cli import options, render
from workers.operations.principals import FORMER_NAMES, named, principals
from workers.settings import Settings
from workers.stream.admin.acls import commands, grant_all
from workers.stream.admin.rights import Principal
from workers.stream.connection.clients import Clients

PIPED_WIDTH = 140
NAMES = [*(principal.name for principal in principals()), *FORMER_NAMES]
names_argument = click.argument("names", nargs=-1, type=click.Choice(NAMES), metavar="[NAME]...")


@click.group("principals", cls=options.Group)
def principals_command() -> None:
    """Show who may do what in Kafka, and grant it.

    Each stage and each role around them is a user of its own, with exactly the rights that it needs: a stage that is
    taken over cannot write another one's events, nor fence its workers.
    """


@principals_command.command()
@names_argument
@options.as_json
def show(names: Sequence[str], as_json: bool) -> None:
    """Show each principal's rights. Without NAME all of them.

    \b
    Examples:
      tessera principals show auction.settlement
      tessera principals show --json | jq -r '.name'
    """
    if as_json:
        for principal in _named(names):
            click.echo(json.dumps(asdict(principal)))
        return
    table = Table("principal", "is", "rights", box=box.SIMPLE_HEAD)
    for principal in _named(names):
        rights = "\n".join(str(right) for right in principal.rights)
        table.add_row(principal.name, principal.purpose.replace("`", ""), rights, end_section=True)
    render.console(piped_width=PIPED_WIDTH).print(table)


@principals_command.command()
@names_argument
@click.option("--print-commands", is_flag=True, help="Do nothing; print the commands of Kafka's own tools instead.")
@options.bootstrap_servers
@options.as_json
def create(names: Sequence[str], print_commands: bool, bootstrap_servers: str | None, as_json: bool) -> None:
    """Grant each principal its rights; what it has stays. Without NAME all of them.

    It takes a user who may alter the cluster (a super user), as TESSERA_SASL_USERNAME. The users and their passwords
    are Kafka's own: --print-commands shows how they are made, $PASSWORD is yours to fill in. Rights granted otherwise
    are not taken away.

    \b
    Examples:
      tessera principals create
      tessera principals create --print-commands > grant.sh
    """
    settings, wanted = Settings.read(bootstrap_servers=bootstrap_servers), _named(names)
    if print_commands:
        for line in commands(wanted, settings.bootstrap_servers):
            click.echo(line)
        return
    asyncio.run(_grant(settings, wanted))
    for principal in wanted:
        row = {"name": principal.name, "rights": len(principal.rights)}
        click.echo(json.dumps(row) if as_json else f"{principal.name} has its {len(principal.rights)} rights")


async def _grant(settings: Settings, wanted: Sequence[Principal]) -> None:
    async with Clients(settings).cluster() as cluster:
        for principal in wanted:
            await grant_all(cluster, principal)


def _named(names: Sequence[str]) -> list[Principal]:
    return [named(name) for name in names] if names else list(principals())
