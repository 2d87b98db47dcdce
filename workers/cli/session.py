"""Stages running in this process while a command uses them: engine, bus and monitor, opened and closed together."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from workers.cli.waiting import waiting
from workers.engines.base import Engine
from workers.errors import TesseraError
from workers.models import open_reference
from workers.monitor import Monitor
from workers.pipeline import Means, build_stages, check_settings, needs_engine, needs_keys, now
from workers.settings import Settings
from workers.stream.bus import Bus
from workers.stream.kafka import KafkaBus
from workers.stream.keys import open_key_ring
from workers.stream.memory import MemoryBus

T = TypeVar("T")

READY_POLL_S = 0.05
WARM_UP_TURN = "How do I begin?"
ALLOCATIONS_PER_COLLECTION = 50_000


@dataclass(frozen=True)
class Session:
    """A bus with stages on it; `done` ends only when told to stop, or with the error that ended the stages."""

    bus: Bus
    monitor: Monitor
    stop: asyncio.Event
    done: "asyncio.Task[None]"

    async def until_ready(self) -> None:
        """Wait for every stage to own its partitions; raises what ended the stages."""
        while self.monitor.health.why_not_ready():
            if self.done.done():
                await self.done
                return
            await asyncio.sleep(READY_POLL_S)

    async def watch(self, items: AsyncIterator[T], silence_s: float) -> AsyncIterator[T]:
        """The items; raises what ended the stages, or TesseraError when nothing comes for `silence_s`."""
        while True:
            step = asyncio.ensure_future(anext(items))
            try:
                await asyncio.wait([step, self.done], timeout=silence_s, return_when=asyncio.FIRST_COMPLETED)
                if not step.done():
                    await self._explain_silence(silence_s)
                yield step.result()
            except StopAsyncIteration:
                return
            finally:
                step.cancel()

    async def _explain_silence(self, silence_s: float) -> None:
        if self.done.done():
            await self.done
        raise TesseraError(f"no record for {silence_s:g} s: the stages stopped, or hang")


@asynccontextmanager
async def stages_running(
    names: Sequence[str], settings: Settings, monitor: Monitor, *, kafka: bool
) -> AsyncIterator[Session]:
    """The named stages at work. On leaving they finish or abandon what they have, and the engine is closed.

    The engine answers once before any stage starts: what is broken fails here, not with the first query.
    """
    check_settings(names, settings)
    bus: Bus = KafkaBus(settings, monitor) if kafka else MemoryBus(monitor)
    engine = await _open(settings) if needs_engine(names) else None
    try:
        await _warm_up(engine)
        calm_collector()
        keys = await open_key_ring(bus, settings.draw_secrets, now) if needs_keys(names) else None
        stop = asyncio.Event()
        done = asyncio.create_task(bus.run(build_stages(names, Means(settings, engine, keys)), stop))
        try:
            yield Session(bus, monitor, stop, done)
        finally:
            stop.set()
            await done
    finally:
        if engine is not None:
            await engine.close()


def calm_collector() -> None:
    """Let Python's cycle collector run seldom, and never over what is there to stay.

    An event is a tree of hundreds of small objects without a cycle. Searching them every 700 allocations, Python's own
    measure, takes a seventh of the settlement stage's time and frees nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS_PER_COLLECTION)


def monitor_of(names: Sequence[str], settings: Settings) -> Monitor:
    """The monitor of a process that runs these stages."""
    engine = settings.engine if needs_engine(names) else "none"
    return Monitor(stages=names, currency=settings.currency, engine=engine)


async def _open(settings: Settings) -> Engine:
    """The model, loaded; a large one takes minutes, and its library is not always silent about it."""
    with waiting(f"loading the language model {settings.engine}"):
        return await open_reference(settings)


async def _warm_up(engine: Engine | None) -> None:
    if engine is not None:
        await engine.sample(engine.encode(WARM_UP_TURN), seeds=[0], max_tokens=4)
