"""Starts vLLM so that the process stays responsive meanwhile, and so that nothing of vLLM outlives it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import resource_tracker
from typing import IO, TypeVar

from workers.engines.vllm_local import guardian

T = TypeVar("T")

GUARDIAN_ENDS_S = 10.0


class Guard:
    """The guardian of vLLM's processes. They die with us, however we end, and at the latest when it is closed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # our own script
            [sys.executable, "-I", "-S", guardian.__file__, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # a Ctrl-C is for us
        )

    def started(self) -> None:
        """All of vLLM's processes are there, and it knows them when this returns."""
        self._order(guardian.STARTED)

    def end(self) -> None:
        """Kill them, and whatever vLLM starts from now on."""
        self._order(guardian.END)

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

    def _order(self, order: bytes) -> None:
        orders, answers = self._pipes
        with contextlib.suppress(BrokenPipeError):  # somebody killed it; the model works without
            orders.write(order)
            answers.read(1)


async def start_guarded(start: Callable[[], T]) -> tuple[T, Guard]:
    """The result of `start`, and the guard of the processes that it left. It blocks for up to minutes, and so
    runs in a thread: probes are answered meanwhile, and a Ctrl-C ends it.
    """
    guard = Guard()
    starting = asyncio.ensure_future(asyncio.to_thread(_undisturbed, start))
    try:
        started = await asyncio.shield(starting)
    except BaseException:
        guard.end()  # vLLM notices, and so the thread ends
        await asyncio.gather(starting, return_exceptions=True)
        guard.close()
        raise
    await asyncio.to_thread(guard.started)
    return started, guard


def _undisturbed(start: Callable[[], T]) -> T:
    """Children inherit that SIGINT is blocked: a Ctrl-C must not end the engine core while we finish what we have.

    The resource tracker comes first, for starting it unblocks the signal.
    """
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    return start()
