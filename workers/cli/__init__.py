"""The command line. Each command is a module of this folder, imported only when it is used."""

import difflib
import importlib
import os
import signal
import sys

import click

from schemas.bad_record import BadRecord
from workers.cli import streams
from workers.cli.visible import indented
from workers.errors import TesseraError

COMMANDS = {
    "demo": "workers.cli.demo:demo",
    "run": "workers.cli.run:run",
    "ask": "workers.cli.ask:ask",
    "explain": "workers.cli.explain:explain",
    "balance": "workers.cli.balance:balance",
    "statement": "workers.cli.statement:statement",
    "credit": "workers.cli.credit:credit",
    "whatif": "workers.cli.whatif:whatif",
    "repository": "workers.cli.repository:repository",
    "audit": "workers.cli.audit:audit",
    "export": "workers.cli.export:export",
    "sink": "workers.cli.sink:sink",
    "verify": "workers.cli.verify:verify",
    "settle": "workers.cli.settle:settle",
    "prove": "workers.cli.prove:prove",
    "experiment": "workers.cli.experiment:experiment",
    "splitting": "workers.cli.splitting:splitting",
    "advertisers": "workers.cli.advertisers:advertisers",
    "keys": "workers.cli.keys:keys",
    "terms": "workers.cli.terms:terms",
    "topics": "workers.cli.topics:topics",
    "offsets": "workers.cli.offsets:offsets",
    "dlq": "workers.cli.dlq:dlq",
    "model": "workers.cli.model:model",
    "doctor": "workers.cli.doctor:doctor",
    "top": "workers.cli.top:top",
    "load": "workers.cli.load:load",
    "principals": "workers.cli.principals:principals_command",
    "broker": "workers.cli.broker:broker",
    "schemas": "workers.cli.schemas:schemas",
}
#: What `tessera --help` says of each: read from here, the list needs none of their modules.
SHORT_HELP = {
    "demo": "auctions on the bundled model: replies, sponsors, charges",
    "run": "stages as a service: generation, scoring, settlement",
    "ask": "one query through Kafka, and its reply",
    "explain": "a query's receipt: who moved the reply, what it cost, how it was drawn",
    "balance": "what advertisers owe: bills less credits, to the micro",
    "statement": "an advertiser's charges of a period, what they bought, and the sums",
    "credit": "some or all of one charge taken back",
    "whatif": "logged auctions settled again under other terms: revenue, rewards, charges",
    "repository": "who advertised, what and how, for a public repository of advertisements",
    "audit": "every auction of a log, or of the topics, recomputed",
    "export": "the topics as a file that audit, explain, settle and splitting read",
    "sink": "charges, credits and replies copied into Parquet files or PostgreSQL, to be joined",
    "verify": "invariants of all topics: one end for each query, nothing doubled or lost",
    "settle": "logged auctions settled again, as JSON lines",
    "prove": "a search for counterexamples to the mechanism's properties",
    "experiment": "the paper's claims measured again",
    "splitting": "advertisers that may be one party bidding in parts",
    "advertisers": "the registry of advertisers: put, approve, pause, remove, import, export",
    "keys": "the secret of the draw and the commitments to its daily keys",
    "terms": "the terms of the auctions, published before they are in force",
    "topics": "make and show the Kafka topics; who is behind",
    "offsets": "where each stage stands in its topic, and where it goes on",
    "dlq": "records that were refused: list, show, send through again",
    "model": "a language model imported for a CPU, or decoded at a temperature",
    "doctor": "whether Kafka and the model are as they must be, and what to do",
    "top": "rates, latency, revenue and what is in flight, watched live",
    "load": "queries at a rate of their own, and how long each took",
    "principals": "who may do what in Kafka; grants it",
    "broker": "a Kafka on this machine, for trying out",
    "schemas": "the JSON Schemas of what crosses the topics",
}


class Commands(click.Group):
    """A group that imports a command's module when the command is asked for, and not for a list of them all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and (alike := difflib.get_close_matches(args[0], COMMANDS)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {alike[0]!r}?")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, SHORT_HELP.get(name, "")) for name in COMMANDS])


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
    """Run the command; errors meant for the user are one line and exit code 2; 1 is left to what a command found.

    Not `cli()`: click ends an interrupted program and one whose reader is gone with 1 as well.
    """
    streams.prepare()
    try:
        code = _exit_code()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has had enough
        streams.silence()
        code = BROKEN_PIPE
    except KeyboardInterrupt:  # the second one, before the first was told
        code = _interrupted()
    if code == INTERRUPTED:
        os._exit(code)  # an interrupt that came while Python ran `exec` of a string would end this as a signal does
    sys.exit(code)


def _exit_code() -> int | str | None:
    """What the command ended with, once its error is told."""
    try:
        streams.require_text(sys.argv[1:])
        with cli.make_context("tessera", sys.argv[1:]) as context:
            cli.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except SystemExit as done:
        return done.code
    except (TesseraError, BadRecord) as error:
        return _told(str(error), 2)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _interrupted()
    except BrokenPipeError:
        raise
    except OSError as error:
        return _told(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 2)
    return 0


def _interrupted() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more would interrupt the message
    streams.restore()
    return _told("interrupted", INTERRUPTED)


def _told(message: str, code: int) -> int:
    click.echo(f"tessera: {indented(message)}", err=True)
    return code
