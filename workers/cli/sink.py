"""`tessera sink`: copies of bills, credits and replies for those who join and query them."""

import asyncio
import signal
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import click

from workers.cli import options, period
from workers.errors import MissingProgram, TesseraError
from workers.receipts.statement import Period
from workers.settings import Settings


@click.group()
def sink() -> None:
    """Copy charges, credits and replies to where they can be joined: each record once, whatever dies in between."""


@sink.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--follow", is_flag=True, help="Go on copying what comes, until it is interrupted.")
@click.option(
    "--every",
    "every_s",
    type=options.Seconds(0.1, 86_400.0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="With --follow, how long to wait between two copies: each makes files of its own.",
)
@click.option(
    "--batch-rows",
    type=click.IntRange(1, 1_000_000),
    default=50_000,
    show_default=True,
    metavar="N",
    help="Most rows that are held in memory and committed at once.",
)
@period.begin
@period.end
@options.bootstrap_servers
def parquet(
    folder: Path,
    follow: bool,
    every_s: float,
    batch_rows: int,
    begin: datetime | None,
    end: datetime | None,
    bootstrap_servers: str | None,
) -> None:
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
    if follow and end:
        raise TesseraError("--follow has no end, and --to is one: leave one of them out")
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    try:
        unreadable = asyncio.run(_copy(settings, folder, Period(begin, end), every_s if follow else None, batch_rows))
    except ModuleNotFoundError as missing:
        if missing.name != "pyarrow":
            raise
        raise MissingProgram("pyarrow is not installed: pip install 'tessera-auction[parquet]'") from None
    if unreadable:
        click.echo(f"tessera: {unreadable:,} records that nobody can read are not in the copy", err=True)
        raise SystemExit(1)


async def _copy(settings: Settings, folder: Path, limits: Period, every_s: float | None, batch_rows: int) -> int:
    """How many records nobody can read."""
    from workers.sinks.copying import Copy, KafkaSource
    from workers.sinks.parquet_files import ParquetFolder
    from workers.sinks.rows import TABLES
    from workers.stream.connection.clients import Clients

    stop = asyncio.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ending, stop.set)
    source = KafkaSource(Clients(settings), [table.topic.name for table in TABLES], limits.begin, limits.end)
    target = ParquetFolder(folder, _said(limits))
    try:
        target.open(TABLES)
        copy = Copy(target, source, _tell, limits.holds, batch_rows)
        await (copy.to_the_end(stop) if every_s is None else copy.follow(stop, every_s))
    finally:
        target.close()
    return copy.unreadable


def _said(limits: Period) -> str:
    """The period as the manifest has it; empty: all times."""
    begin, end = (at.isoformat() if at else "" for at in (limits.begin, limits.end))
    return f"{begin} to {end}" if begin or end else ""


def _tell(written: Mapping[str, int], left: int) -> None:
    rows = ", ".join(f"{count:,} {name}" for name, count in sorted(written.items())) or "no rows"
    click.echo(f"copied {rows}; {left:,} offsets to go", err=True)
