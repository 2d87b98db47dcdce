"""What SIGTERM and Ctrl-C do to a process that runs stages, from its first moment on."""

import asyncio
import os
import signal
from collections.abc import Callable

from workers.app.session import Session
from workers.operations.health import Health

EXIT_INTERRUPTED = 130


class Stopping:
    """The first signal ends what this task is at; once `running` is called, it tells the session to stop instead.

    The second one ends the process at once. The handlers come before the models: process 1 of a container has none of
    its own, and would be deaf to SIGTERM while they load.
    """

    def __init__(self, health: Health, say: Callable[[str], None]) -> None:
        self.told = False
        self._health, self._say, self._starting = health, say, asyncio.current_task()
        self._session: Session | None = None
        for signal_ in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signal_, self._stop)

    def running(self, session: Session) -> None:
        """From now on there is something to finish."""
        self._session = session

    def _stop(self) -> None:
        if self.told:
            os._exit(EXIT_INTERRUPTED)
        self.told = True
        self._health.draining()
        self._say("stopping; again to stop at once")
        if self._session is not None:
            self._session.stop.set()
        elif self._starting is not None:
            self._starting.cancel()
