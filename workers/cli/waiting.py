"""A spinner on standard error while something takes long and says nothing, where somebody watches."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from workers.cli import render


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """`what`, and for how long, until the block is left; nothing where standard error is no terminal."""
    console = render.console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    ) as shown:
        shown.add_task(what, total=None)
        yield
