"""Options that several commands share: the same name, the same words, the same default everywhere."""

import math
from typing import Any

import click

from schemas.reasons import DeadLetterReason
from workers.cli.streams import write_utf8

LONGEST_SENTENCE = 300


class Group(click.Group):
    """A group whose help has the first sentence of each command whole; click cuts it after half a line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, one.get_short_help_str(LONGEST_SENTENCE)) for name, one in commands if one and not one.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class Seconds(click.FloatRange):
    """A span of time between two bounds; `nan`, which any comparison lets through, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return seconds


bootstrap_servers = click.option(
    "--bootstrap-servers",
    metavar="HOST:PORT[,...]",
    help="Kafka brokers. Without it TESSERA_BOOTSTRAP_SERVERS, without that localhost:9092.",
)


def _in_utf8(context: click.Context, parameter: click.Parameter, given: bool) -> bool:
    if given:
        write_utf8()
    return given


as_json = click.option(
    "--json", "as_json", is_flag=True, callback=_in_utf8, help="One JSON object per line, for machines."
)

engine = click.option("--engine", metavar="NAME", help="Language model; see TESSERA_ENGINE. [default: embedded]")

candidates = click.option(
    "--candidates", type=int, metavar="M", help="Candidate replies per auction; see TESSERA_CANDIDATES. [default: 20]"
)

proposal = click.option(
    "--proposal",
    type=click.Choice(["context_aware", "reference"]),
    help="Where candidates are drawn from; see TESSERA_PROPOSAL. [default: context_aware]",
)

dead_letter_reason = click.option(
    "--reason",
    type=click.Choice([reason.name for reason in DeadLetterReason]),
    metavar="REASON",
    help=f"Only those refused for this reason: {', '.join(reason.name for reason in DeadLetterReason)}.",
)
