"""`tessera broker`: a Kafka on this machine, for trying out and developing."""

import json
from pathlib import Path
from typing import Any

import click

from workers.cli import options
from workers.devkafka.detached import DEFAULT_PORT, default_data, find_broker, start_broker, stop_broker
from workers.devkafka.running import RunningBroker

NOTHING_RUNS = 1

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of its records and its log. Default: tessera/broker in $XDG_STATE_HOME or ~/.local/state.",
)


@click.group(cls=options.Group)
def broker() -> None:
    """Start and stop a Kafka on this machine; it needs Java 17 and, once, Maven.

    One node or a cluster of three, for trying out and developing: it listens on 127.0.0.1 only and has no passwords.
    """


@broker.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65_530),
    help=f"Port for clients. Default: that of the last start, {DEFAULT_PORT} at first.",
)
@click.option(
    "--nodes",
    type=click.IntRange(1, 5),
    default=1,
    show_default=True,
    help="Brokers. 3 or more keep three copies of everything and may lose one; their ports follow the first.",
)
@data_option
@options.as_json
def start(port: int | None, nodes: int, data: Path | None, as_json: bool) -> None:
    """Start Kafka in the background and wait until it can be used.

    The first start fetches Kafka (about 45 MB). Topics and records survive a stop, and a crash too. Starting it
    twice is no error, and brings back those of several nodes that have ended. One node and several in the same folder
    have records of their own.

    \b
    Examples:
      tessera broker start
      tessera broker start --port 9093 --data /tmp/second-broker
      tessera broker start --nodes 3
    """
    where = data or default_data()
    running, started = start_broker(where, port, lambda message: click.echo(message, err=True), nodes)
    if as_json:
        _print_json("started" if started else "already running", running)
        return
    click.echo(f"Kafka {'runs' if started else 'runs already'} at {running.bootstrap_servers} ({_pids(running)})")
    click.echo(f"records and log: {running.data}")
    elsewhere = running.port != DEFAULT_PORT or nodes > 1
    place = f" TESSERA_BOOTSTRAP_SERVERS={running.bootstrap_servers}" if elsewhere else ""
    click.echo(f"it has neither TLS nor passwords; for the other commands: export TESSERA_ALLOW_PLAINTEXT=true{place}")
    if nodes > 1:
        click.echo("topics with a copy on three nodes: tessera topics create --replication-factor 3")


@broker.command()
@data_option
@options.as_json
def stop(data: Path | None, as_json: bool) -> None:
    """Stop the Kafka that `tessera broker start` started; its records stay.

    \b
    Examples:
      tessera broker stop
      tessera broker stop --data /tmp/second-broker
    """
    stopped = stop_broker(data or default_data())
    if as_json:
        _print_json("stopped" if stopped else "not running", stopped)
    elif stopped:
        where = f"Kafka at {stopped.bootstrap_servers} ({_pids(stopped)})"
        click.echo(f"{where} is stopped; its records stay in {stopped.data}")
    else:
        click.echo(f"no Kafka of `tessera broker start` runs on {data or default_data()}")


@broker.command()
@data_option
@options.as_json
@click.pass_context
def status(context: click.Context, data: Path | None, as_json: bool) -> None:
    """Say whether the Kafka that `tessera broker start` started runs; exit code 1 when it, or a node of it, does not.

    \b
    Examples:
      tessera broker status
      tessera broker status --json | jq .bootstrap_servers
    """
    running = find_broker(data or default_data())
    if as_json:
        _print_json(_state(running), running)
    elif running is None:
        click.echo(f"no Kafka of `tessera broker start` runs on {data or default_data()}")
    else:
        _print_nodes(running)
    if running is None or running.dead:
        context.exit(NOTHING_RUNS)


def _state(running: RunningBroker | None) -> str:
    if running is None:
        return "not running"
    return "running in part" if running.dead else "running"


def _print_nodes(running: RunningBroker) -> None:
    for node in running.nodes:
        click.echo(f"{node.address}: {'runs' if node.alive else 'has ended'} (pid {node.pid})")
    click.echo(f"records and log: {running.data}")
    if running.dead:
        click.echo(f"to have all of it: tessera broker start --nodes {len(running.nodes)}")


def _pids(running: RunningBroker) -> str:
    pids = [str(node.pid) for node in running.nodes]
    return f"pid {pids[0]}" if len(pids) == 1 else f"pids {', '.join(pids)}"


def _print_json(state: str, running: RunningBroker | None) -> None:
    row: dict[str, Any] = {"state": state}
    if running:
        pids = [node.pid for node in running.nodes]
        row |= {"bootstrap_servers": running.bootstrap_servers, "pid": pids[0], "pids": pids, "data": str(running.data)}
    click.echo(json.dumps(row))
