"""The spinner is for people: on a terminal it says what takes so long, elsewhere nothing is written."""

import os
import pty
import subprocess
import sys

PROGRAM = "from workers.cli.waiting import waiting\nimport time\nwith waiting('loading it'): time.sleep(0.5)"
LIMIT_S = 60


def test_on_a_terminal_progress_is_shown() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stderr=theirs, env={**os.environ, "TERM": "xterm"}) as child:
        os.close(theirs)
        assert child.wait(LIMIT_S) == 0

    assert b"loading it" in os.read(ours, 65_536)
    os.close(ours)


def test_without_a_terminal_no_progress_is_written() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, timeout=LIMIT_S, check=True)

    assert done.stdout == done.stderr == b""
