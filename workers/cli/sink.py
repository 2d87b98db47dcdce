"""`tessera sink`: copies of bills, credits and replies for those who join and query them."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workers.cli import options, period
from workers.cli.visible import visible
from workers.errors import MissingProgram, TesseraError
from workers.receipts.statement import Period
from workers.receipts.words import counted
from workers.settings import Settings

if TYPE_CHECKING:
    from workers.sinks.copying import Target


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """What is copied, and how often; `every_s` None: what is there now."""

    settings: Settings
    limits: Period
    every_s: float | None
    batch_rows: int
    metrics_port: int | None

    @property
    def said(self) -> str:
        """The period, as the copy keeps it; empty: all times."""
        begin, end = (at.isoformat() if at else "" for at in (self.limits.begin, self.limits.end))
        return f"{begin} to {end}" if begin or end else ""


def _copying(command: Callable[..., None]) -> Callable[..., None]:
    """The options that each copy has, as one argument `plan`."""

    def with_plan(
        follow: bool,
        every_s: float,
        batch_rows: int,
        begin: datetime | None,
        end: datetime | None,
        bootstrap_servers: str | None,
        metrics_port: int | None,
        **own: Any,
    ) -> None:
        if follow and end:
            raise TesseraError("--follow has no end, and --to is one: leave one of them out")
        settings = Settings.read(bootstrap_servers=bootstrap_servers)
        wait_s = every_s if follow else None
        command(plan=CopyPlan(settings, Period(begin, end), wait_s, batch_rows, metrics_port), **own)

    with_plan.__doc__ = command.__doc__
    with_plan.__name__ = command.__name__
    for option in (options.bootstrap_servers, _metrics_port, period.end, period.begin, _batch_rows, _every, _follow):
        with_plan = option(with_plan)
    return with_plan


_follow = click.option("--follow", is_flag=True, help="Go on copying what comes, until it is interrupted.")
_every = click.option(
    "--every",
    "every_s",
    type=options.Seconds(0.1, 86_400.0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="With --follow, how long to wait between two copies; each makes files of its own where there are files.",
)
_batch_rows = click.option(
    "--batch-rows",
    type=click.IntRange(1, 1_000_000),
    default=50_000,
    show_default=True,
    metavar="N",
    help="Most rows that are held in memory and committed at once.",
)


_metrics_port = click.option(
    "--metrics-port",
    type=click.IntRange(0, 65_535),
    metavar="PORT",
    help="Serve /metrics for Prometheus at TESSERA_METRICS_HOST; 0 takes a free port. [default: none]",
)


@click.group(cls=options.Group)
def sink() -> None:
    """Copy charges, credits and replies to where they can be joined: each record once, whatever dies in between."""


@sink.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER", help="The same as FOLDER.")
@_copying
def parquet(plan: CopyPlan, folder: Path | None, out: Path | None) -> None:
    """Copy into Parquet files: FOLDER/TABLE/day=.../hour=.../*.parquet, for DuckDB, Spark or pandas.

    Tables are charges, credits and replies; an hour is that in which the broker took the record (UTC). Files are
    complete or absent. manifest.json says how far each partition is copied: the next run goes on there, also after a
    kill, and deletes what that one left behind the manifest. Needs pyarrow, the extra `parquet`.

    Exit code 1: the copy was made without some records that nobody can read; how many is said on standard error.

    \b
    Examples:
      tessera sink parquet copies
      tessera sink parquet november --from 2026-11-01 --to 2026-12-01
      duckdb -c "select advertiser_id, sum(charge_micros) from 'copies/charges/*/*/*.parquet' group by 1"
    """
    given = [one for one in (folder, out) if one is not None]
    if len(given) != 1:
        raise click.UsageError("give one folder to copy into, as FOLDER or as --out FOLDER")
    (into,) = given

    def target() -> "Target":
        from workers.sinks.parquet_files import ParquetFolder

        return ParquetFolder(into, plan.said)

    _run(plan, target, "parquet", "pyarrow")


@sink.command()
@click.argument("where", metavar="[URL]", default="")
@click.option("--reader", default="", metavar="ROLE", help="A role of the database that may read the tables.")
@_copying
def postgres(plan: CopyPlan, where: str, reader: str) -> None:
    """Copy into tables of PostgreSQL: tessera.charges, credits and replies, and the view tessera.balances.

    URL is a connection string, postgresql://USER@HOST/DATABASE; what it leaves out says libpq's environment (PGHOST,
    PGUSER, PGPASSWORD...) or ~/.pgpass: passwords do not belong on a command line. Rows and positions are written in
    one transaction, so a run goes on where the last one stood, also after a kill. A database that goes away is waited
    for, ten minutes. The schema `tessera` is made and brought up to date by numbered migrations. In texts, NUL, which
    PostgreSQL has not, becomes U+FFFD. Needs psycopg, the extra `postgres`.

    Exit code 1: the copy was made without some records that nobody can read; how many is said on standard error.

    \b
    Examples:
      tessera sink postgres postgresql://finance@db.example/ledger --follow --reader analysts
      psql -c 'select * from tessera.balances order by balance_micros desc limit 10'
    """

    def target() -> "Target":
        from workers.sinks.postgres import PostgresTables

        return PostgresTables(where, plan.said, reader)

    _run(plan, target, "postgres", "psycopg")


def _run(plan: CopyPlan, target: Callable[[], "Target"], extra: str, library: str) -> None:
    try:
        unreadable = asyncio.run(_copy(plan, target()))
    except ModuleNotFoundError as missing:
        if missing.name != library:
            raise
        raise MissingProgram(f"{library} is not installed: pip install 'tessera-auction[{extra}]'") from None
    if unreadable:
        click.echo(f"tessera: not in the copy: {counted(unreadable, 'record')} that nobody can read", err=True)
        raise SystemExit(1)


async def _copy(plan: CopyPlan, target: "Target") -> int:
    """How many records nobody can read."""
    from workers.sinks.copying import Copy, KafkaSource, patiently
    from workers.sinks.rows import TABLES
    from workers.stream.connection.clients import Clients

    stop = asyncio.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ending, stop.set)
    topics = [table.topic.name for table in TABLES]
    source = KafkaSource(Clients(plan.settings), topics, plan.limits.begin, plan.limits.end)
    progress = _Progress(plan)
    copy = Copy(target, source, progress.wrote, plan.limits.holds, plan.batch_rows)
    work = partial(copy.to_the_end, stop) if plan.every_s is None else partial(copy.follow, stop, plan.every_s)
    await patiently(copy, work, stop, progress.away)
    return copy.unreadable


class _Progress:
    """Lines on standard error, and metrics."""

    def __init__(self, plan: CopyPlan) -> None:
        from workers.sinks.metrics import SinkMetrics

        self._metrics = SinkMetrics()
        if plan.metrics_port is not None:
            host = plan.settings.metrics_host
            click.echo(f"metrics at http://{host}:{self._metrics.serve(host, plan.metrics_port)}/metrics", err=True)

    def wrote(self, written: Mapping[str, int], left: int) -> None:
        self._metrics.wrote(written, left)
        rows = ", ".join(f"{count:,} {name}" for name, count in sorted(written.items())) or "no rows"
        click.echo(f"copied {rows}; {left:,} offsets to go", err=True)

    def away(self, why: str) -> None:
        self._metrics.away()
        click.echo(f"tessera: {visible(why)}; waiting for it", err=True)
