"""Work that may take minutes and cannot be interrupted, in a thread that nobody has to wait for at the end."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """`work`, begun at `start` from whatever thread. The event loop's own threads would be joined when it ends."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._done: Future[T] = Future()
        self._done.set_running_or_notify_cancel()  # whoever stops waiting does not cancel it

    def start(self) -> None:
        threading.Thread(target=self._run, name="background", daemon=True).start()

    async def result(self) -> T:
        """What the work returns or raises."""
        return await asyncio.wrap_future(self._done)

    def _run(self) -> None:
        try:
            self._done.set_result(self._work())
        except BaseException as error:  # noqa: BLE001  # whoever waits gets it
            self._done.set_exception(error)
