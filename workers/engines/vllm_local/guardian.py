"""A process beside vLLM that outlives ours by a moment, and ends what vLLM started.

vLLM's engine core does not notice that the process it works for was killed: it would keep the GPU's memory for ever,
and no successor could start. Run as a script: `guardian.py PID`, with a pipe as standard input. What it reads there is
an order; when the pipe closes, because PID closed it or is gone, it kills what is left and ends.
"""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

STARTED, END = b"s", b"e"  # nothing more will be started; end everything, also what is only about to start
POLL_S = 0.2
OURS = (b"multiprocessing.spawn", b"VLLM::")  # how vLLM's processes are named, before and after they name themselves
PARENT, START_TIME = 1, 19  # fields of /proc/PID/stat behind the process's name

Process = tuple[int, str]  # its id, and when it began: ids are used again


def watch(parent: int) -> None:
    """Follow the orders on standard input until it closes; a byte on standard output says that one is followed."""
    known: set[Process] = set()
    order, started = b"", False
    while True:
        _note(None if started else parent, known)
        if order == END:
            _kill(known)
        ready, _, _ = select.select([0], [], [], None if order == STARTED else POLL_S)
        if not ready:
            continue
        order = os.read(0, 1)
        _note(None if started else parent, known)
        if not order:
            break
        started = started or order == STARTED
        os.write(1, order)
    _kill(known)


def _note(parent: int | None, known: set[Process]) -> None:
    """Add vLLM's processes below `parent`, and everything below one that is known: those keep their parent for now.

    What is older than this process belongs to another vLLM of `parent`, and so does what comes below it (None) later.
    """
    began = int(_fields(os.getpid())[START_TIME])
    while found := set(_children(parent, {pid for pid, _ in known}, began)) - known:
        known |= found


def _children(parent: int | None, above: set[int], since: int) -> Iterator[Process]:
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        with contextlib.suppress(OSError, IndexError):  # it has ended meanwhile
            fields = _fields(pid)
            of = int(fields[PARENT])
            new = of == parent and int(fields[START_TIME]) >= since
            if of in above or (new and any(name in (folder / "cmdline").read_bytes() for name in OURS)):
                yield pid, fields[START_TIME]


def _kill(processes: set[Process]) -> None:
    for pid, began in processes:
        with contextlib.suppress(OSError, IndexError):
            if _fields(pid)[START_TIME] == began:
                os.kill(pid, signal.SIGKILL)


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    watch(int(sys.argv[1]))
