"""The command line. Each command is a module of this folder, imported only when it is used."""

import importlib
import sys

import click

from schemas.payload import BadRecord
from workers.errors import TesseraError

COMMANDS = {
    "demo": "workers.cli.demo:demo",
    "run": "workers.cli.run:run",
    "ask": "workers.cli.ask:ask",
    "topics": "workers.cli.topics:topics",
    "broker": "workers.cli.broker:broker",
    "settle": "workers.cli.settle:settle",
    "schemas": "workers.cli.schemas:schemas",
}


class Commands(click.Group):
    """A group that imports a command's module when the command is asked for: `tessera --help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="tessera-auction", prog_name="tessera")
def cli() -> None:
    """Truthful auctions for influence on a language model's reply.

    Start with `tessera demo`: fifty auctions on the bundled model, no Kafka needed. For the real thing:
    `tessera broker start`, `tessera topics create`, `tessera run generation scoring settlement`, `tessera ask`.
    Settings are TESSERA_ variables; `tessera run --help` lists them.
    """


def main() -> None:
    """Entry point: errors meant for the user are one line and exit code 2."""
    try:
        cli()
    except (TesseraError, BadRecord) as error:
        click.echo(f"tessera: {error}", err=True)
        sys.exit(2)
