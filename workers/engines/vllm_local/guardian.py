"""A process beside vLLM that outlives ours by a moment, and ends what vLLM started.

vLLM's engine core does not notice that the process it works for was killed: it would keep the GPU's memory for ever,
and no successor could start. Run as a script: `guardian.py MARK`, with a pipe as standard input. Whatever has MARK in
the environment that it was started with is vLLM's: children inherit it, and keep it when their parent is gone. A byte
from the pipe is the order to end all that is there or still comes; when the pipe closes, because our process closed it
or is gone, it kills what is left and ends.
"""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

NAME = "TESSERA_GUARDED_BY"  # of the variable whose value is the mark
POLL_S = 0.2
DIES_WITHIN_S = 5.0  # one that was killed; a driver may hold it for a while


def watch(mark: str) -> None:
    """Follow the orders on standard input until it closes; a byte on standard output says that one is followed."""
    ending = False
    while True:
        ready, _, _ = select.select([0], [], [], POLL_S if ending else None)
        order = os.read(0, 1) if ready else b""
        if ready and not order:
            return _end(mark)
        ending = True
        _kill(mark)
        os.write(1, order)


def _end(mark: str) -> None:
    until = time.monotonic() + DIES_WITHIN_S
    while _kill(mark) and time.monotonic() < until:
        time.sleep(POLL_S / 10)  # what was killed may have started another just before


def _kill(mark: str) -> bool:
    """Whether there was any."""
    found = list(_marked(f"{NAME}={mark}".encode()))
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(found)


def _marked(entry: bytes) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is somebody else's
            if entry in _words(folder / "environ") and __file__.encode() not in _words(folder / "cmdline"):
                yield int(folder.name)  # and no guardian of another vLLM, which was started at the same time


def _words(file: Path) -> list[bytes]:
    return file.read_bytes().split(b"\0")


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    watch(sys.argv[1])
