"""The first code of every `tessera` process: it can be told to stop before anything else is imported."""

import os
import signal
import sys
from types import FrameType

TOLD_TO_STOP = 0  # `tessera run` ends so while it loads, as its help says
TERMINATED = 143  # as a shell says of a program that SIGTERM ended


def main() -> None:
    """Entry point. The kernel ignores SIGTERM for a process 1 without a handler, and imports take most of a second."""
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGINT, _interrupted)
    from workers.cli import main as command_line

    signal.signal(signal.SIGINT, signal.default_int_handler)
    command_line()


def _terminated(number: int, frame: FrameType | None) -> None:
    """Nothing is to be finished: a command with work to finish has put its own handler in this one's place."""
    if sys.argv[1:2] == ["run"]:
        os._exit(TOLD_TO_STOP)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)  # for everybody but process 1 this is the end
    os._exit(TERMINATED)


def _interrupted(number: int, frame: FrameType | None) -> None:
    """During the imports, whose traceback would say nothing to whoever pressed Ctrl-C."""
    os._exit(128 + number)
