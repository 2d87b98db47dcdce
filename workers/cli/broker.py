"""`tessera broker`: a Kafka on this machine, for trying out and developing."""

import json
from pathlib import Path

import click

from workers.cli import options
from workers.stream.broker.detached import DEFAULT_PORT, RunningBroker, default_data, start_broker, stop_broker

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of its records and its log. Default: tessera/broker in $XDG_STATE_HOME or ~/.local/state.",
)


@click.group()
def broker() -> None:
    """Start and stop a Kafka on this machine; it needs Java 17 and, once, Maven.

    One node, for trying out and developing: it listens on 127.0.0.1 only, has no passwords and keeps one copy of
    everything.
    """


@broker.command()
@click.option("--port", type=click.IntRange(1, 65_535), help=f"Port for clients. Default: {DEFAULT_PORT}.")
@data_option
@options.as_json
def start(port: int | None, data: Path | None, as_json: bool) -> None:
    """Start Kafka in the background and wait until it can be used.

    The first start fetches Kafka (about 45 MB). Topics and records survive a stop, and a crash too. Starting it
    twice is no error.

    \b
    Examples:
      tessera broker start
      tessera broker start --port 9093 --data /tmp/second-broker
    """
    running, started = start_broker(data or default_data(), port, lambda message: click.echo(message, err=True))
    if as_json:
        _print_json("started" if started else "already running", running)
        return
    click.echo(f"Kafka {'runs' if started else 'runs already'} at {running.bootstrap_servers} (pid {running.pid})")
    click.echo(f"records and log: {running.data}")
    place = f" TESSERA_BOOTSTRAP_SERVERS={running.bootstrap_servers}" if running.port != DEFAULT_PORT else ""
    click.echo(f"it has neither TLS nor passwords; for the other commands: export TESSERA_ALLOW_PLAINTEXT=true{place}")


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
        click.echo(
            f"Kafka at {stopped.bootstrap_servers} (pid {stopped.pid}) is stopped; its records stay in {stopped.data}"
        )
    else:
        click.echo(f"no Kafka of `tessera broker start` runs on {data or default_data()}")


def _print_json(state: str, running: RunningBroker | None) -> None:
    row: dict[str, str | int] = {"state": state}
    if running:
        row |= {"bootstrap_servers": running.bootstrap_servers, "pid": running.pid, "data": str(running.data)}
    click.echo(json.dumps(row))
