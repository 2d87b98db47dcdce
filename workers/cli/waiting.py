"""What somebody who watches sees of a start: warnings, and a spinner on standard error while something takes long."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from workers.app.session import Onlooker
from workers.cli import render
from workers.cli.visible import indented


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


def _warn(sentence: str) -> None:
    click.echo(f"tessera: {indented(sentence)}", err=True)


TERMINAL = Onlooker(_warn, waiting)
