"""The command line. Each command is a module of this folder, imported only when it is used."""

import importlib
import os
import sys

import click

from schemas.payload import BadRecord
from workers.errors import TesseraError

COMMANDS = {
    "demo": "workers.cli.demo:demo",
    "run": "workers.cli.run:run",
    "ask": "workers.cli.ask:ask",
    "explain": "workers.cli.explain:explain",
    "audit": "workers.cli.audit:audit",
    "verify": "workers.cli.verify:verify",
    "settle": "workers.cli.settle:settle",
    "prove": "workers.cli.prove:prove",
    "experiment": "workers.cli.experiment:experiment",
    "splitting": "workers.cli.splitting:splitting",
    "keys": "workers.cli.keys:keys",
    "topics": "workers.cli.topics:topics",
    "offsets": "workers.cli.offsets:offsets",
    "dlq": "workers.cli.dlq:dlq",
    "doctor": "workers.cli.doctor:doctor",
    "principals": "workers.cli.principals:principals_command",
    "broker": "workers.cli.broker:broker",
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
    Nothing of it has to be believed: `tessera audit` recomputes a log, `tessera prove` looks for a lie that pays.
    Settings are TESSERA_ variables; `tessera run --help` lists them.
    """


INTERRUPTED, BROKEN_PIPE = 130, 141  # as a shell says of a program that a signal ended


def main() -> None:
    """Entry point: errors meant for the user are one line and exit code 2; 1 is left to what a command found.

    Not `cli()`: click ends an interrupted program and one whose reader is gone with 1 as well.
    """
    try:
        with cli.make_context("tessera", sys.argv[1:]) as context:
            cli.invoke(context)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (TesseraError, BadRecord) as error:
        click.echo(f"tessera: {error}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("tessera: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # whoever read the output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at the end
        sys.exit(BROKEN_PIPE)
    except OSError as error:
        click.echo(f"tessera: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", err=True)
        sys.exit(2)
