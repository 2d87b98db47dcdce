"""`tessera` commands in processes of their own that are forked from one which has imported everything.

As with `worker_process.tessera`, a command has its own arguments, environment, streams and exit code, and leaves
nothing behind in the tests' own process. It does not pay for the imports, which take ten times as long as the command.
What the start of a process is (imports that fail, closed streams, signals, a terminal) is tested with real ones:
`tests/cli/test_streams_and_signals.py`, `tests/cli/test_run_start.py`, `tests/test_wheel.py`.
"""

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from io import FileIO, TextIOWrapper
from multiprocessing.connection import Connection
from pathlib import Path

from tests.support.worker_process import environment
from workers.cli import COMMANDS

TEMPLATE = multiprocessing.get_context("forkserver")
TEMPLATE.set_forkserver_preload([target.partition(":")[0] for target in COMMANDS.values()])
OUTPUTS = ("stdout", "stderr")


def tessera(
    *arguments: str, kafka: str = "127.0.0.1:1", given: bytes = b"", timeout_s: float = 120, **settings: object
) -> "subprocess.CompletedProcess[bytes]":
    """One command, to its end."""
    return run(arguments, environment(kafka, **settings), given, timeout_s)


def run(
    arguments: Sequence[str], env: Mapping[str, str], given: bytes = b"", timeout_s: float = 120
) -> "subprocess.CompletedProcess[bytes]":
    """One command with this environment alone, to its end. TimeoutExpired: it did not end, and was killed."""
    with tempfile.TemporaryDirectory() as folder:
        reader, writer = TEMPLATE.Pipe(duplex=False)
        child = TEMPLATE.Process(target=_command, args=(arguments, dict(env), os.getcwd(), reader, folder))
        child.start()
        reader.close()
        feeder = threading.Thread(target=_feed, args=(writer, given))
        feeder.start()
        child.join(timeout_s)
        is_over = child.exitcode is not None
        if not is_over:
            child.kill()
            child.join()
        feeder.join()
        if not is_over:
            raise subprocess.TimeoutExpired(arguments, timeout_s)
        written = [(Path(folder) / name).read_bytes() for name in OUTPUTS]
        return subprocess.CompletedProcess(arguments, child.exitcode or 0, *written)


def _feed(writer: Connection, given: bytes) -> None:
    """A command need not read what it is given."""
    with writer, contextlib.suppress(BrokenPipeError), open(writer.fileno(), "wb", closefd=False) as pipe:
        pipe.write(given)


def _command(arguments: Sequence[str], env: Mapping[str, str], cwd: str, stdin: Connection, folder: str) -> None:
    """In the child: what the shell and the interpreter do before a program begins, then the program."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    os.dup2(stdin.fileno(), 0)
    stdin.close()
    for number, name in enumerate(OUTPUTS, 1):
        opened = os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout = _stream(0, "r", "strict"), _stream(1, "w", "strict")
    sys.stderr = _stream(2, "w", "backslashreplace")
    sys.argv = ["tessera", *arguments]
    from workers.start import main

    main()


def _stream(number: int, mode: str, errors: str) -> TextIOWrapper:
    """A standard stream, called as the interpreter calls it."""
    binary = open(number, f"{mode}b")
    raw: FileIO = binary.raw
    raw.name = ("<stdin>", "<stdout>", "<stderr>")[number]
    return TextIOWrapper(binary, errors=errors)
