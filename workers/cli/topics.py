"""`tessera topics`: create and show the topics of the auction."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import Any, get_args

import click
from rich import box
from rich.console import Console
from rich.table import Table

from schemas.topics import MEBIBYTE
from workers.cli import options, render
from workers.doctor.kafka import OF_TOPICS, inspect_kafka
from workers.doctor.verdict import State
from workers.errors import BrokerError
from workers.pipeline import GROUPS, PATH, STAGES
from workers.settings import Settings
from workers.stream.admin.description import TopicState, describe_topics
from workers.stream.admin.first_offsets import Begin, FirstOffsets, initialise_offsets
from workers.stream.admin.plans import planned_topics
from workers.stream.admin.replication import copies_warning
from workers.stream.admin.timestamps import stamp_warning
from workers.stream.admin.topics import CreatedTopics, create_topics

OPTIONAL = {spec.group for spec in STAGES.values() if spec.name not in PATH}  # no reply waits for them
PIPED_WIDTH = 160  # columns of a table that no terminal shows: nothing is cut


@click.group(cls=options.Group)
def topics() -> None:
    """Create and show the Kafka topics of the auction."""


@topics.command()
@options.bootstrap_servers
@click.option("--partitions", type=int, help="Partitions of the query, candidate and reply topics; final. [default: 4]")
@click.option("--replication-factor", type=int, help="Copies of each partition; 3 in production. [default: 1]")
@click.option(
    "--begin",
    type=click.Choice(get_args(Begin)),
    help="Where stages go on that have worked before, and whose offsets Kafka has no more.",
)
@options.as_json
def create(
    bootstrap_servers: str | None,
    partitions: int | None,
    replication_factor: int | None,
    begin: Begin | None,
    as_json: bool,
) -> None:
    """Create the topics and give each stage its first offsets.

    Whatever exists stays as it is, so the command may be repeated; where topics exist with fewer copies than
    --replication-factor asks for, that is said, with what makes more, and the exit code is 2. The number of partitions
    is final: it decides how many workers of a stage can share the work, and which partition a key belongs to.

    A first offset is set where nothing is stored, or the stage has never published anything. Where a stage has worked
    before and its offsets are gone, you are told what is there, and asked for --begin: "earliest" works on everything
    that is stored again, "latest" leaves what waits without an end, "after-last-settled" goes on behind the last record
    whose outcome stands in the outputs. Settlement publishes nothing again that it remembers, whatever is chosen. Where
    its memory is gone it does not start; "latest" accepts that it begins with an empty one.

    \b
    Examples:
      tessera topics create
      tessera topics create --begin after-last-settled
      tessera topics create --bootstrap-servers kafka-1:9092,kafka-2:9092 --partitions 12 --replication-factor 3
    """
    settings = Settings.read(
        bootstrap_servers=bootstrap_servers, partitions=partitions, replication_factor=replication_factor
    )
    made, offsets = asyncio.run(_create(settings, begin))
    if as_json:
        _print_json({"topic": name, "state": "created"} for name in made.created)
        _print_json({"topic": name, "state": "existing"} for name in made.existing)
        _print_json(asdict(first) for first in offsets)
    else:
        _print_created(settings, made)
        _print_offsets(offsets)
    for warning in asyncio.run(_warnings(settings)):
        click.echo(f"tessera: {warning}", err=True)


@topics.command()
@options.bootstrap_servers
@options.as_json
def describe(bootstrap_servers: str | None, as_json: bool) -> None:
    """Show the topics as the brokers have them, and how far each stage is behind.

    Records count what is stored, transaction markers included. The lag is what the stage has not worked on yet; where
    "workers" says none nobody runs that stage, so its lag grows. Stages that are optional need none: incentives.

    \b
    Example:
      tessera topics describe --json | jq 'select(.records > 0)'
    """
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    states = asyncio.run(describe_topics(settings, GROUPS))
    if as_json:
        _print_json(asdict(state) for state in states)
    elif states:
        _print_states(states)
    for verdict in asyncio.run(inspect_kafka(settings, OF_TOPICS)) if states else ():
        if verdict.state in (State.WARNING, State.FAILED):
            click.echo(f"tessera: {verdict.check}: {verdict.said}; {verdict.advice}", err=True)
    missing = {plan.name for plan in planned_topics(settings)} - {state.topic for state in states}
    if missing:
        names = (
            "none of the topics is"
            if not states
            else f"not all topics are there ({', '.join(sorted(missing))} missing)"
        )
        raise BrokerError(f"{names} at {settings.bootstrap_servers}; `tessera topics create` makes them")


async def _create(settings: Settings, begin: Begin | None) -> tuple[CreatedTopics, tuple[FirstOffsets, ...]]:
    return await create_topics(settings), await initialise_offsets(settings, GROUPS, begin)


async def _warnings(settings: Settings) -> list[str]:
    return [said for warning in (stamp_warning, copies_warning) if (said := await warning(settings))]


def _print_json(rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        click.echo(json.dumps(row))


def _print_created(settings: Settings, made: CreatedTopics) -> None:
    table = Table("topic", "partitions", "", box=box.SIMPLE_HEAD)
    for plan in planned_topics(settings):
        table.add_row(plan.name, str(plan.partitions), "created" if plan.name in made.created else "existed")
    console().print(table)


def _print_offsets(offsets: Iterable[FirstOffsets]) -> None:
    table = Table("consumer group", "reads", "first offsets", box=box.SIMPLE_HEAD)
    for first in offsets:
        done = f"{first.partitions_written} set" if first.partitions_written else "existed"
        table.add_row(first.group, first.topic, done)
    console().print(table)


def _print_states(states: Iterable[TopicState]) -> None:
    table = Table("topic", box=box.SIMPLE_HEAD)
    for column in ("partitions", "copies", "retention", "max message", "records", "lag", "workers"):
        table.add_column(column, justify="right")
    table.add_column("consumer group")
    for state in states:
        table.add_row(*_cells(state))
    console().print(table)


def _cells(state: TopicState) -> list[str]:
    days = "for ever" if state.retention_ms < 0 else f"{timedelta(milliseconds=state.retention_ms).days} days"
    size = f"{state.max_message_bytes / MEBIBYTE:g} MiB"
    lags = ["no offsets" if group.lag_records is None else str(group.lag_records) for group in state.groups]
    workers = [str(group.members or _nobody(group.group)) for group in state.groups]
    groups = [group.group for group in state.groups]
    counts = [str(state.partitions), str(state.replication), days, size, str(state.records)]
    return [state.topic, *counts, "\n".join(lags), "\n".join(workers), "\n".join(groups)]


def _nobody(group: str) -> str:
    return "none, optional" if group in OPTIONAL else "none"


def console() -> Console:
    return render.console(piped_width=PIPED_WIDTH)
