"""`tessera run`: stages as a service."""

import asyncio
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeAlias

import click

from workers.app.session import Onlooker, Session, monitor_of, require_startable, stages_running, watched_keys
from workers.app.signals import Stopping
from workers.cli import options
from workers.cli.settings_table import settings_table
from workers.cli.visible import indented
from workers.cli.waiting import TERMINAL
from workers.errors import (
    AccessDenied,
    BrokerError,
    EngineGone,
    EngineTimeout,
    EngineUnavailable,
    NotRetriable,
    RetriesExhausted,
    Stalled,
    TesseraError,
)
from workers.operations.health import MonitoringServer, keep_beating
from workers.operations.logs import logging_to
from workers.pipeline import STAGES
from workers.settings import Settings
from workers.stream.connection.clients import Clients
from workers.stream.connection.coordinators import REMEDY, failed_coordinators
from workers.stream.connection.security import connection

log = logging.getLogger(__name__)

#: Where sentences of this command go: the terminal, or the log.
Say: TypeAlias = Callable[[str], None]

EXIT_REFUSED, EXIT_FAILED = 2, 70
PASSES = (BrokerError, EngineUnavailable, EngineTimeout, RetriesExhausted, EngineGone)  # also before the stages begin
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
@click.option("--log-json", is_flag=True, help="Write the log as JSON, an object a line, for a collector of logs.")
def run(stages: tuple[str, ...], log_json: bool, **given: object) -> None:
    """Run one or more stages: generation, scoring, settlement.

    Stages in one process share one language model. The process runs until SIGTERM or Ctrl-C; it then commits what
    is finished, lets go of the rest, leaves its groups and ends; while the model still loads, it just ends. A second
    signal ends it at once. Whatever ends it, nothing is lost or done twice: the next owner begins where the last
    commit was.

    \b
    Exit codes:
      0    told to stop, at work or while the model loads
      2    somebody must act: a setting of ours or of Kafka's, a right that is missing, or records that were deleted
           before they were read
      70   failed (Kafka does not answer, the engine is gone, a bug): start it again
      130  told twice to stop, so it did not wait

    \b
    Examples:
      tessera run generation scoring settlement
      tessera run settlement --metrics-port 9465
    """
    with logging_to(sys.stderr, as_json=log_json):
        try:
            _run(tuple(dict.fromkeys(stages)), Settings.read(**given), log_json)
        except TesseraError as error:
            if not log_json:
                raise
            log.error("%s", error)
            raise click.exceptions.Exit(EXIT_REFUSED) from error


def _run(stages: Sequence[str], settings: Settings, log_json: bool) -> None:
    connection(settings)  # a Kafka that is not protected is refused before anything is announced
    require_startable(stages, settings)
    onlooker = Onlooker(log.warning) if log_json else TERMINAL
    if failure := asyncio.run(_serve(stages, settings, _saying(log_json, logging.INFO), onlooker)):
        failed = asyncio.run(_failed_coordinators(stages, settings))
        _explain(failure, failed, _saying(log_json, logging.ERROR))
        raise click.exceptions.Exit(EXIT_FAILED)


def _saying(log_json: bool, level: int) -> Say:
    return partial(log.log, level) if log_json else partial(click.echo, err=True)


async def _serve(stages: Sequence[str], settings: Settings, say: Say, onlooker: Onlooker) -> Exception | None:
    """Monitoring first: a probe is answered while the model loads. Returns what another start may mend."""
    monitor = monitor_of(stages, settings)
    stopping = Stopping(monitor.health, say)
    beating = asyncio.create_task(keep_beating(monitor.health, monitor))
    try:
        with MonitoringServer(
            monitor, monitor.health, host=settings.metrics_host, port=settings.metrics_port
        ) as server:
            _announce(stages, settings, server.port, say)
            session: Session | None = None
            try:
                async with stages_running(stages, settings, monitor, kafka=True, onlooker=onlooker) as session:
                    stopping.running(session)
                    async with watched_keys(stages, session):
                        await session.done
            except (NotRetriable, AccessDenied):
                raise
            except asyncio.CancelledError:
                if not stopping.told:
                    return Stalled("the stages were cancelled, and nobody asked for it")
            except Exception as failure:
                if session is None and not isinstance(failure, PASSES):  # not even begun: a setting, most likely
                    raise
                return failure
    finally:
        beating.cancel()
    return None


async def _failed_coordinators(stages: Sequence[str], settings: Settings) -> str:
    """Whose fault it may be that Kafka did not do what it was asked; "" if it can be asked and they answer, or not."""
    groups = {STAGES[name].group: STAGES[name].consumes.name for name in stages}
    with suppress(TesseraError):
        async with Clients(settings).cluster() as cluster:
            return "; ".join(map(str, await failed_coordinators(cluster, groups)))
    return ""


def _explain(failure: Exception, failed: str, say: Say) -> None:
    """One line for what we know; what is our own mistake with where it happened. `failed`: Kafka's coordinators."""
    if not isinstance(failure, TesseraError):
        say("".join(traceback.format_exception(failure)).rstrip())
    said = indented(str(failure) or repr(failure)) + (f". {indented(failed)}. {REMEDY}" if failed else "")
    say(f"tessera: {said}; exit code {EXIT_FAILED}: start it again")


def _announce(stages: Sequence[str], settings: Settings, port: int, say: Say) -> None:
    say(f"tessera run {' '.join(stages)}: Kafka {settings.bootstrap_servers}, engine {settings.engine}")
    host = f"[{settings.metrics_host}]" if ":" in settings.metrics_host else settings.metrics_host
    say(f"metrics at http://{host}:{port}/metrics; Ctrl-C stops")
