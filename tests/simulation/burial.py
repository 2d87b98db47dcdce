"""The end of what a judged run has left behind, so that nothing of it runs into the next seed."""

import asyncio
import contextlib
import inspect
from collections.abc import Sequence

from tests.simulation.clock import Stuck, VirtualLoop
from tests.simulation.lives import Life
from tests.simulation.world import World

MOST_STEPS = 20_000
ATTEMPTS = 5  # a cancellation can be swallowed
PATIENCE_S = 60.0


def bury(world: World, lives: Sequence[Life]) -> None:
    """Let every task end, also those of processes that died long ago, and close the loop."""
    loop = world.loop
    world.network.over, loop.before_step = True, None
    loop.allow(MOST_STEPS)
    for life in lives:
        life.process.dead = False
        loop.thaw(life.process)
    for _ in range(ATTEMPTS):
        _cancel_all(loop)
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    for life in lives:
        for producer in life.clients.producers if life.clients is not None else ():
            producer._closed = True
    loop.run_until_complete(loop.create_task(_close_all(loop)))
    loop.run_until_complete(loop.shutdown_asyncgens())
    for task in asyncio.all_tasks(loop):  # one that a generator's end has just begun, or that no step was left for
        if inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED:  # type: ignore[arg-type]
            task.get_coro().close()  # type: ignore[union-attr]
    loop.close()


async def _close_all(loop: VirtualLoop) -> None:
    """End what waits where a cancellation has begun it: the collector would, in the middle of another test."""
    for task in asyncio.all_tasks(loop) - {asyncio.current_task()}:
        for _ in range(ATTEMPTS):
            with contextlib.suppress(Exception):  # it waits again: another step of its end
                task.get_coro().close()  # type: ignore[union-attr]
                break


def _cancel_all(loop: VirtualLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        with contextlib.suppress(Stuck):
            loop.run_until_complete(asyncio.wait(tasks, timeout=PATIENCE_S))
