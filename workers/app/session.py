"""Stages running in this process while a command uses them: engine, bus and monitor, opened and closed together.

Nothing is printed here: what an operator should see is handed to an `Onlooker`.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from schemas.topics import PROFILES
from workers.advertisers.admission import NOBODY as NOBODY_REGISTERED
from workers.app.followed_registry import FollowedRegistry, restored_registry
from workers.app.models import Models, open_models
from workers.draw_keys import KeyRing
from workers.engines.base import Engine
from workers.engines.catalogue import require_known
from workers.engines.observed import observed
from workers.errors import TesseraError
from workers.operations.monitor import Monitor
from workers.pipeline import STAGES, Means, build_stages, now, sampling_secret
from workers.settings import Settings
from workers.settlement import KeySource
from workers.stage import StageSpec
from workers.stream.bus import Bus
from workers.stream.commitments import open_key_ring, read_commitments
from workers.stream.connection.preflight import preflight
from workers.stream.kafka import KafkaBus
from workers.stream.memory import MemoryBus

T = TypeVar("T")

READY_POLL_S = 0.05
WARM_UP_TURN = "How do I begin?"
ALLOCATIONS_PER_COLLECTION = 50_000


@dataclass(frozen=True)
class Onlooker:
    """Who is told while stages start: nobody unless a command hands in how."""

    warn: Callable[[str], None] = lambda sentence: None
    waiting: Callable[[str], AbstractContextManager[None]] = lambda what: nullcontext()  # while something takes long


NOBODY = Onlooker()


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


def require_startable(names: Sequence[str], settings: Settings) -> None:
    """SettingsError: what is wrong with the settings of these stages before a port is opened or a model loaded."""
    specs = [STAGES[name] for name in names]
    if any(spec.needs_draw_keys for spec in specs):
        _ = settings.draw_secrets
    if any(spec.draws_candidates for spec in specs):
        sampling_secret(settings)
    if any(spec.needs_engine for spec in specs):
        require_known(settings.engine)


@asynccontextmanager
async def stages_running(
    names: Sequence[str], settings: Settings, monitor: Monitor, *, kafka: bool, onlooker: Onlooker = NOBODY
) -> AsyncIterator[Session]:
    """The named stages at work. On leaving they finish or abandon what they have, and the models are closed.

    Those that everybody needs answer once before any stage starts: what is broken fails here, not with the first query.
    """
    require_startable(names, settings)
    specs = [STAGES[name] for name in names]
    draws = any(spec.needs_draw_keys for spec in specs)
    samples = any(spec.draws_candidates for spec in specs)
    bus: Bus = KafkaBus(settings, monitor) if kafka else MemoryBus(monitor)
    async with _models(specs, settings, monitor, onlooker) as models:
        calm_collector()
        if kafka:
            for warning in await preflight(specs, settings):
                onlooker.warn(warning)
        keys = await _key_ring(bus, settings, samples) if draws else None
        registry = await _registry(specs, bus, settings, onlooker)
        stop = asyncio.Event()
        admission = registry.admission if registry else NOBODY_REGISTERED
        means = _means(settings, keys, models, monitor)
        means = replace(means, registry=admission, sampling_keys=keys if samples else None)
        running = bus.run(build_stages(names, means), stop)
        done = asyncio.create_task(registry.beside(running, stop) if registry else running)
        try:
            yield Session(bus, monitor, stop, done)
        finally:
            stop.set()
            await done


async def _key_ring(bus: Bus, settings: Settings, samples: bool) -> KeyRing:
    """Seeds are committed to as well where their secret is known: it is set, or this process draws candidates."""
    seeds = sampling_secret(settings) if samples or settings.sampling_key else None
    return await open_key_ring(bus, settings.draw_secrets, now, seeds)


@asynccontextmanager
async def watched_keys(names: Sequence[str], session: Session) -> AsyncIterator[None]:
    """While stages draw, their monitor is told which days' keys are not revealed; Kafka is asked now and then."""
    if not any(STAGES[name].needs_draw_keys for name in names):
        yield
        return
    watching = asyncio.create_task(session.monitor.draw_keys.watch(partial(read_commitments, session.bus)))
    try:
        yield
    finally:
        watching.cancel()


@asynccontextmanager
async def _models(
    specs: Sequence[StageSpec], settings: Settings, monitor: Monitor, onlooker: Onlooker
) -> AsyncIterator[Models | None]:
    """What the stages ask, if anything; a line for each advertiser's server that is not as it must be."""
    if not any(spec.needs_engine for spec in specs):
        yield None
        return
    async with AsyncExitStack() as stack:
        opening = open_models(
            settings,
            proposal=any(spec.draws_candidates for spec in specs),
            rewards=any(spec.needs_rewards for spec in specs),
            observer=monitor.own_models,
        )
        with onlooker.waiting(f"loading the language model {settings.engine}"):  # a large one takes minutes
            models = await stack.enter_async_context(opening)
        for sentence in models.sources.unreached if models.sources else ():
            onlooker.warn(sentence)
        await _warm_up(models)
        yield models


async def _registry(
    specs: Sequence[StageSpec], bus: Bus, settings: Settings, onlooker: Onlooker
) -> FollowedRegistry | None:
    """Restored, if a stage follows it and the operator wants that."""
    if settings.registry == "off" or not any(spec.follows is PROFILES for spec in specs):
        return None
    with onlooker.waiting("restoring the advertisers' registry"):
        registry = await restored_registry(bus, settings)
    calm_collector()
    return registry


def _means(settings: Settings, keys: KeySource | None, models: Models | None, monitor: Monitor) -> Means:
    if models is None:
        return Means(settings, keys=keys)
    rewards = models.sources.rewards if models.sources else None
    reference = _observed(models.reference, settings.engine, monitor)
    proposal = models.context_aware and _observed(models.context_aware, settings.proposal_engine, monitor)
    return Means(settings, reference, keys, proposal, rewards, prompts=models.prompts)


def _observed(engine: Engine, name: str, monitor: Monitor) -> Engine:
    monitor.engines.engine(name)
    return observed(engine, name, monitor.engines)


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
    engine = settings.engine if any(STAGES[name].needs_engine for name in names) else "none"
    return Monitor(stages=names, currency=settings.currency, engine=engine)


async def _warm_up(models: Models) -> None:
    for engine in filter(None, (models.reference, models.context_aware)):
        await engine.sample(engine.encode(WARM_UP_TURN), seeds=[0], max_tokens=4)
