"""How the programs of this folder end: in order when told to, with their report written and a code that says why."""

import signal
import sys
from pathlib import Path
from typing import NoReturn

import click

FINDING, INTERRUPTED = 1, 130

report_option = click.option(
    "--report", "path", type=click.Path(path_type=Path, dir_okay=False), help="Write the report here."
)


def end_on_sigterm() -> None:
    """As on Ctrl-C: what runs ends its processes. The exit code is 130."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))


def write_report(path: Path, text: str) -> None:
    """Into a folder that need not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def end(*, has_found: bool) -> NoReturn:
    """Exit: 1 when something was found, else 0."""
    sys.exit(FINDING if has_found else 0)
