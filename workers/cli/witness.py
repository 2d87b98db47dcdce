"""A witness: what is committed, written down as it comes; and the bar that counts records on standard error."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from workers.audit.log.auction_ids import NAMES
from workers.audit.log.witness import witness_line
from workers.cli import render
from workers.cli.documents import require_writable
from workers.settings import Settings
from workers.stream.admin.positions import named
from workers.stream.connection.clients import Clients
from workers.stream.reader import live

REFRESH_RECORDS = 1_024


@contextmanager
def reading_bar(what: str) -> Iterator[Callable[[], None]]:
    """To be called for every record; a line on standard error shows now and then how many, if that is a terminal."""
    console = render.console(stderr=True)
    hidden = not console.is_terminal
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} " + what), TextColumn("{task.fields[rate]:,.0f}/s"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=hidden) as bar:
        task, began, waiting, read = bar.add_task("", total=None, rate=0.0), time.perf_counter(), 0, 0

        def advance() -> None:
            nonlocal waiting, read
            waiting += 1
            if waiting == REFRESH_RECORDS:
                read += waiting
                bar.update(task, completed=read, rate=read / (time.perf_counter() - began))
                waiting = 0

        yield advance


async def record(settings: Settings, path: Path) -> None:
    """Write a line for each committed record to the file until SIGTERM or SIGINT; what is written is whole lines."""
    stop = asyncio.Event()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, stop.set)
    require_writable(path)
    with named(settings):
        async with aclosing(live(Clients(settings), NAMES, stop)) as batches:
            await anext(batches)  # reading has begun; before that no file is made
            click.echo(f"witnessing Kafka {settings.bootstrap_servers}; SIGTERM or Ctrl-C ends it", err=True)
            with path.open("wb") as file:
                async for batch in batches:
                    file.write(b"".join(map(witness_line, batch)))
                    file.flush()
