"""Stages running in this process while a command uses them: engine, bus and monitor, opened and closed together."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import click

from workers.app.models import Models, open_models
from workers.cli.visible import indented
from workers.cli.waiting import waiting
from workers.errors import TesseraError
from workers.operations.monitor import Monitor
from workers.pipeline import (
    Means,
    build_stages,
    check_settings,
    needs_engine,
    needs_keys,
    needs_proposal,
    needs_rewards,
    now,
)
from workers.settings import Settings
from workers.settlement import KeySource
from workers.stream.bus import Bus
from workers.stream.commitments import open_key_ring
from workers.stream.connection.preflight import preflight
from workers.stream.kafka import KafkaBus
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
    """The named stages at work. On leaving they finish or abandon what they have, and the models are closed.

    Those that everybody needs answer once before any stage starts: what is broken fails here, not with the first query.
    """
    check_settings(names, settings)
    bus: Bus = KafkaBus(settings, monitor) if kafka else MemoryBus(monitor)
    async with _models(names, settings, monitor) as models:
        calm_collector()
        if kafka:
            for warning in await preflight(names, settings):
                click.echo(f"tessera: {warning}", err=True)
        keys = await open_key_ring(bus, settings.draw_secrets, now) if needs_keys(names) else None
        stop = asyncio.Event()
        means = _means(settings, keys, models)
        done = asyncio.create_task(bus.run(build_stages(names, means), stop))
        try:
            yield Session(bus, monitor, stop, done)
        finally:
            stop.set()
            await done


@asynccontextmanager
async def _models(names: Sequence[str], settings: Settings, monitor: Monitor) -> AsyncIterator[Models | None]:
    """What the stages ask, if anything; a line for each advertiser's server that is not as it must be."""
    if not needs_engine(names):
        yield None
        return
    async with AsyncExitStack() as stack:
        opening = open_models(
            settings, proposal=needs_proposal(names), rewards=needs_rewards(names), observer=monitor.own_models
        )
        with waiting(f"loading the language model {settings.engine}"):  # a large one takes minutes
            models = await stack.enter_async_context(opening)
        for sentence in models.sources.unreached if models.sources else ():
            click.echo(f"tessera: {indented(sentence)}", err=True)
        await _warm_up(models)
        yield models


def _means(settings: Settings, keys: KeySource | None, models: Models | None) -> Means:
    if models is None:
        return Means(settings, keys=keys)
    rewards = models.sources.rewards if models.sources else None
    return Means(settings, models.reference, keys, models.context_aware, rewards)


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


async def _warm_up(models: Models) -> None:
    for engine in filter(None, (models.reference, models.context_aware)):
        await engine.sample(engine.encode(WARM_UP_TURN), seeds=[0], max_tokens=4)
