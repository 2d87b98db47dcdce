"""Standard input, output and error as commands may take them for granted, whatever the process was started with."""

import io
import os
import sys
from collections.abc import Sequence

from workers.cli.visible import Visible, visible
from workers.errors import SettingsError

SHOW_CURSOR = "\x1b[?25h"
STANDARD = {0: ("stdin", os.O_RDONLY), 1: ("stdout", os.O_WRONLY), 2: ("stderr", os.O_WRONLY)}


def prepare() -> None:
    """None is closed, none fails at a character that its encoding lacks, and standard error shows what it is given."""
    for number, (name, mode) in STANDARD.items():
        if getattr(sys, name) is None:
            _fill(number, name, mode)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if type(sys.stderr) is io.TextIOWrapper:
        sys.stderr = Visible(sys.stderr)


def restore() -> None:
    """Undo what a display of progress did, in case it was interrupted while it began or ended: that is then left to us.

    It stands in both streams' places, where what is printed may wait for an end that never comes, and hid the cursor.
    """
    sys.stdout = getattr(sys.stdout, "rich_proxied_file", sys.stdout)
    sys.stderr = getattr(sys.stderr, "rich_proxied_file", sys.stderr)
    if "rich.live" in sys.modules and isinstance(sys.stderr, Visible) and sys.stderr.isatty():
        sys.stderr.behind.write(SHOW_CURSOR)
        sys.stderr.behind.flush()


def write_utf8() -> None:
    """Standard output is JSON: that is UTF-8 in every locale."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def silence() -> None:
    """Nobody reads any more: what Python still flushes at its end goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def require_text(arguments: Sequence[str]) -> None:
    """SettingsError: an argument is no text, and no file that is there, which may have any name."""
    for one in arguments:
        if not _is_text(one) and not os.path.exists(one.partition("=")[2] or one):
            raise SettingsError(f"the argument {_shown(one)} is not text, and no file is called that")


def _fill(number: int, name: str, mode: int) -> None:
    """Or the next file or connection that is opened gets the number, and what is printed goes there."""
    opened = os.open(os.devnull, mode)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    setattr(sys, name, open(os.devnull, "r" if mode == os.O_RDONLY else "w", encoding="utf-8"))


def _is_text(text: str) -> bool:
    return not any("\ud800" <= one <= "\udfff" for one in text)


def _shown(text: str) -> str:
    return f"'{visible(os.fsencode(text).decode(errors='backslashreplace'))}'"
