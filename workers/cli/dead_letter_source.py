"""Dead letters for a command: read from Kafka, and counted where somebody watches."""

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from datetime import datetime

from rich.progress import Progress, TextColumn, TimeElapsedColumn

from schemas.letter import DeadLetter
from workers.app.bus import bus_of
from workers.cli import render
from workers.settings import Settings
from workers.stream.dead_letters import read_letters


async def stored_letters(
    settings: Settings, topics: Collection[str], reason: str | None = None, since: datetime | None = None
) -> AsyncGenerator[DeadLetter, None]:
    """The dead letters of these topics, older ones first, counted on standard error while they are read."""
    console = render.console(stderr=True)
    columns = (TextColumn("dead letters: {task.completed:,.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=None)
        async with aclosing(read_letters(bus_of(settings), topics, reason, since)) as letters:
            async for letter in letters:
                progress.advance(bar)
                yield letter
