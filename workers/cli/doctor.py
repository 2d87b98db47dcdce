"""`tessera doctor`: is what the workers stand on as they need it?"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Table
from rich.text import Text

from workers.cli import marker_probe_view, options, render
from workers.cli.waiting import waiting
from workers.doctor.engine import inspect_engine
from workers.doctor.kafka import inspect_kafka
from workers.doctor.verdict import State, Verdict
from workers.errors import TesseraError
from workers.settings import Settings

FOUND = 1
AS_SET = ""  # of --engine without a name
STYLES = {State.OK: "green", State.WARNING: "yellow", State.UNKNOWN: "dim", State.FAILED: "bold red"}

#: The groups of checks. One more is one function here and one flag below.
GROUPS: dict[str, Callable[[Settings], Coroutine[Any, Any, Iterable[Verdict]]]] = {
    "kafka": inspect_kafka,
    "engine": inspect_engine,
}


@click.command()
@click.option("--kafka", is_flag=True, help="Only what concerns Kafka. Without such an option everything is checked.")
@options.bootstrap_servers
@click.option(
    "--engine",
    is_flag=False,
    flag_value=AS_SET,
    metavar="[NAME]",
    help="Only what concerns the language models: this one, or TESSERA_ENGINE, and those of the proposal and of "
    "advertisers. They are loaded and hold one auction, in which up to four advertisers with models of their own bid.",
)
@click.option("--marker-probe", is_flag=True, help="Instead: does a Kafka version lose commit markers? Takes minutes.")
@click.option("--kafka-version", metavar="X.Y.Z", help="Of the probe's own broker. [default: the development broker's]")
@click.option("--rounds", type=click.IntRange(1, 1_000), help="Kills and restarts of the probe. [default: 4]")
@click.option("--ids", type=click.IntRange(1, 256), help="Transactional ids at work in the probe. [default: 24]")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Keep the probe's broker, its log and its records, in a new folder. They are deleted otherwise.",
)
@options.as_json
@click.pass_context
def doctor(
    context: click.Context,
    kafka: bool,
    bootstrap_servers: str | None,
    engine: str | None,
    marker_probe: bool,
    kafka_version: str | None,
    rounds: int | None,
    ids: int | None,
    keep: Path | None,
    as_json: bool,
) -> None:
    """Check what the workers stand on, and say what to do; exit code 1 when something is wrong.

    Nothing is written. Warnings do not change the exit code: one broker without copies is right for development.

    The marker probe does not touch your Kafka. It starts one of the version that you name, on this machine, lets
    transactions run, kills it in their midst, restarts it, and compares what was acknowledged with what is there. It
    needs Java 17 and, once per version, Maven.

    \b
    Examples:
      tessera doctor
      tessera doctor --kafka --bootstrap-servers kafka-1:9092,kafka-2:9092
      tessera doctor --engine vllm:/models/my-model
      tessera doctor --kafka --marker-probe --kafka-version 4.4.0 --rounds 8
    """
    if marker_probe:
        if bootstrap_servers is not None:
            raise click.UsageError("--marker-probe kills its broker: it takes one of its own, not --bootstrap-servers")
        report = marker_probe_view.probe(kafka_version, rounds or 4, ids or 24, keep)
        marker_probe_view.show(report, as_json)
        context.exit(0 if report.clean else FOUND)
    if any(option is not None for option in (kafka_version, rounds, ids, keep)):
        raise click.UsageError("--kafka-version, --rounds, --ids and --keep belong to --marker-probe")
    settings = Settings.read(bootstrap_servers=bootstrap_servers, engine=engine or None)
    asked = {"kafka": kafka, "engine": engine is not None}
    verdicts, unreachable = _examine(settings, [name for name, chosen in asked.items() if chosen] or list(GROUPS))
    _print_json(verdicts) if as_json else _print_table(verdicts)
    if unreachable is not None:
        raise unreachable
    context.exit(FOUND if any(verdict.state is State.FAILED for verdict in verdicts) else 0)


def _examine(settings: Settings, groups: Iterable[str]) -> tuple[list[Verdict], TesseraError | None]:
    """What the groups found, and what kept one of them from looking: the others are examined all the same."""
    found: list[Verdict] = []
    unreachable: TesseraError | None = None
    for group in groups:
        try:
            with waiting(f"examining: {group}"):
                found.extend(asyncio.run(GROUPS[group](settings)))
        except TesseraError as error:
            unreachable = error
    return found, unreachable


def _print_json(verdicts: Iterable[Verdict]) -> None:
    for verdict in verdicts:
        click.echo(json.dumps(asdict(verdict), ensure_ascii=False))


def _print_table(verdicts: Sequence[Verdict]) -> None:
    if not verdicts:
        return
    table = Table("", "check", "", "what is there, and what to do", box=box.SIMPLE_HEAD)
    given: set[str] = set()
    for verdict in verdicts:
        words = Text(verdict.said, overflow="fold")
        if verdict.advice not in {"", *given}:
            words.append(f"\n{verdict.advice}", style="dim")
        given.add(verdict.advice)
        state = Text(verdict.state.value, style=STYLES[verdict.state])
        table.add_row(verdict.group, verdict.check, state, words)
    render.console().print(table)
