"""`tessera run` on the null engine, except that some questions end the process, as a crash of the engine would."""

import os
import signal
from typing import Any

from workers.cli import main
from workers.engines.null import NullEngine

WORD = "deadly"
_encode = NullEngine.encode


def encode(self: NullEngine, turn: str) -> Any:
    """Nothing is flushed, nothing is said."""
    if WORD in turn:
        os.kill(os.getpid(), signal.SIGKILL)
    return _encode(self, turn)


if __name__ == "__main__":
    NullEngine.encode = encode  # type: ignore[method-assign]
    main()
