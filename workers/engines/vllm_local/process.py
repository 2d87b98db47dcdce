"""Starts vLLM so that the process stays responsive meanwhile, and so that nothing of vLLM outlives it.

It starts in a thread that nobody has to wait for at the end: the work takes minutes and cannot be interrupted.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from multiprocessing import resource_tracker
from typing import IO, Generic, TypeVar

from workers.engines.vllm_local import guardian

T = TypeVar("T")


class Background(Generic[T]):
    """`work`, begun at `start` from whatever thread. The event loop's own threads would be joined when it ends."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._done: Future[T] = Future()
        self._done.set_running_or_notify_cancel()  # whoever stops waiting does not cancel it

    def start(self) -> None:
        """Begin the work, in a thread that does not keep the process alive."""
        threading.Thread(target=self._run, name="background", daemon=True).start()

    async def result(self) -> T:
        """What the work returns or raises."""
        return await asyncio.wrap_future(self._done)

    def _run(self) -> None:
        try:
            self._done.set_result(self._work())
        except BaseException as error:  # noqa: BLE001  # whoever waits gets it
            self._done.set_exception(error)


GUARDIAN_ENDS_S = 10.0
END = b"e"
_starting = threading.Lock()  # the environment is the process's: two that start at once would inherit each other's


class Guard:
    """The guardian of vLLM's processes. They die with us, however we end, and at the latest when it is closed."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self._process = subprocess.Popen(  # noqa: S603  # our own script
            [sys.executable, "-I", "-S", guardian.__file__, self.mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # a Ctrl-C is for us
        )

    def end(self) -> None:
        """Kill what is there, and whatever vLLM starts from now on."""
        orders, answers = self._pipes
        with contextlib.suppress(BrokenPipeError):  # somebody killed it; the model works without
            orders.write(END)
            answers.read(1)

    def close(self) -> None:
        """Kill what is left of them."""
        orders, answers = self._pipes
        orders.close()
        try:
            self._process.wait(GUARDIAN_ENDS_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        answers.close()

    @property
    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101  # opened above
        return self._process.stdin, self._process.stdout


async def start_guarded(start: Callable[[], T]) -> tuple[T, Guard]:
    """The result of `start`, and the guard of the processes that it left. It blocks for up to minutes, and so
    runs in a thread: probes are answered meanwhile, and a Ctrl-C ends it.
    """
    guard = Guard()
    starting = asyncio.ensure_future(asyncio.to_thread(_undisturbed, start, guard.mark))
    try:
        return await asyncio.shield(starting), guard
    except BaseException:
        guard.end()  # vLLM notices, and so the thread ends
        await asyncio.gather(starting, return_exceptions=True)
        guard.close()
        raise


def _undisturbed(start: Callable[[], T], mark: str) -> T:
    """Children inherit that SIGINT is blocked: a Ctrl-C must not end the engine core while we finish what we have.

    The resource tracker comes first, for starting it unblocks the signal.
    """
    with _starting:
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        with _inherited(guardian.NAME, mark):
            return start()


@contextlib.contextmanager
def _inherited(name: str, value: str) -> Iterator[None]:
    """The variable is in the environment of whatever is started within the block, and not in our own."""
    os.putenv(name, value)
    try:
        yield
    finally:
        os.unsetenv(name)
