"""`tessera run`: stages as a service."""

import asyncio
import os
import signal
from collections.abc import Sequence

import click

from workers.cli import options
from workers.cli.session import Session, monitor_of, stages_running
from workers.health import MonitoringServer, keep_beating
from workers.pipeline import STAGES
from workers.settings import Settings, settings_table
from workers.stream.security import connection

EXIT_INTERRUPTED = 130
SETTINGS_HELP = "\b\nSettings (environment):\n" + "\n".join(
    f"  {row.variable}  [{row.default}]\n      {row.description}" for row in settings_table()
)


@click.command(epilog=SETTINGS_HELP)
@click.argument("stages", nargs=-1, required=True, type=click.Choice(list(STAGES)), metavar="STAGE...")
@options.bootstrap_servers
@options.engine
@options.candidates
@options.proposal
@click.option("--metrics-port", type=int, help="Port of /metrics, /livez and /readyz; 0: a free one. [default: 9464]")
@click.option("--instance", metavar="NAME", help="Stable name of this replica; see TESSERA_INSTANCE.")
def run(stages: tuple[str, ...], **given: object) -> None:
    """Run one or more stages: generation, scoring, settlement.

    Stages in one process share one language model. The process runs until SIGTERM or Ctrl-C; it then lets go of
    what is not committed, leaves its group and exits with 0. A second signal ends it at once. Any other exit is a
    failure that a supervisor should answer with a restart: nothing is lost, the next owner begins where the last
    commit was.

    \b
    Examples:
      tessera run generation scoring settlement
      tessera run settlement --metrics-port 9465
    """
    settings = Settings.read(**given)
    connection(settings)  # a Kafka that is not protected is refused before anything is announced
    asyncio.run(_serve(tuple(dict.fromkeys(stages)), settings))


async def _serve(stages: Sequence[str], settings: Settings) -> None:
    """Monitoring first: a probe is answered while the model loads."""
    monitor = monitor_of(stages, settings)
    beating = asyncio.create_task(keep_beating(monitor.health, monitor))
    try:
        with MonitoringServer(
            monitor, monitor.health, host=settings.metrics_host, port=settings.metrics_port
        ) as server:
            _announce(stages, settings, server.port)
            async with stages_running(stages, settings, monitor, kafka=True) as session:
                _stop_on_signals(session)
                await session.done
    finally:
        beating.cancel()


def _announce(stages: Sequence[str], settings: Settings, port: int) -> None:
    click.echo(
        f"tessera run {' '.join(stages)}: Kafka {settings.bootstrap_servers}, engine {settings.engine}", err=True
    )
    click.echo(f"metrics at http://{settings.metrics_host}:{port}/metrics; Ctrl-C stops", err=True)


def _stop_on_signals(session: Session) -> None:
    def stop() -> None:
        if session.stop.is_set():
            os._exit(EXIT_INTERRUPTED)
        session.monitor.health.draining()
        session.stop.set()
        click.echo("stopping; again to stop at once", err=True)

    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, stop)
