"""Documents that a command writes: whole or not at all, and refused before the work begins where they cannot be."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from workers.errors import TesseraError

READABLE_BY_ALL = 0o644


def require_writable(path: Path) -> None:
    """Nothing, if a document can be written at `path`; to be asked before long work. TesseraError: why it cannot."""
    with _told(path):
        if not path.parent.is_dir():
            raise TesseraError(f"{path} cannot be written: there is no folder {path.parent}; make it first")
        if _is_replaceable(path):
            tempfile.NamedTemporaryFile(dir=path.parent, prefix=_prefix(path)).close()


def write_whole(path: Path, text: str) -> None:
    """The file with all of `text`, or as it was: written beside it and renamed. TesseraError: it cannot be written."""
    with _told(path):
        if not _is_replaceable(path):
            path.write_text(text, encoding="utf-8")
            return
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=_prefix(path), delete=False
        ) as beside:
            _fill_and_rename(beside, path, text)


def _fill_and_rename(beside: IO[str], path: Path, text: str) -> None:
    try:
        beside.write(text)
        beside.flush()
        os.chmod(beside.name, READABLE_BY_ALL)
        os.replace(beside.name, path)
    except BaseException:
        os.unlink(beside.name)
        raise


def _is_replaceable(path: Path) -> bool:
    """A pipe, a device such as /dev/stdout or a link is written into: a rename would put a file in its place."""
    return not path.is_symlink() and (path.is_file() or not path.exists())


def _prefix(path: Path) -> str:
    return f".{path.name}-"


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # of /dev/stdout, or a pipe by name: its reader has had enough
    except OSError as error:
        raise TesseraError(f"{path} cannot be written: {error.strerror}") from None
