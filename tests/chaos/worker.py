"""`tessera run` with fail-points: `python -m tests.chaos.worker FOLDER NAME STAGE`; all else is the product's.

But for what CHAOS_WITHOUT names, see walls.py.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

from tests.chaos.failpoints import Armoury, FaultyClients
from tests.chaos.walls import WITHOUT, take_down
from workers.app import session
from workers.cli import main
from workers.settings import Settings
from workers.stream.bus import Observer
from workers.stream.kafka import KafkaBus

PR_SET_PDEATHSIG = 1  # of Linux


def run(folder: Path, name: str, stages: list[str]) -> None:
    """The command, on a bus whose transactional producers have fail-points."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a campaign that is killed leaves no worker behind
    armoury = Armoury(folder, name)
    take_down(os.environ.get(WITHOUT, ""))

    def bus(settings: Settings, observer: Observer) -> KafkaBus:
        return KafkaBus(settings, observer, FaultyClients(settings, armoury))

    session.KafkaBus = bus  # type: ignore[assignment, misc]
    sys.argv = ["tessera", "run", *stages]
    main()


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
