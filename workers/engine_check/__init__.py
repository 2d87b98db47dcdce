"""Does the language model work here as the workers need it? What is installed, what it runs on, and one auction."""

from datetime import timedelta

from workers.diagnosis import State, Verdict
from workers.engine_check import loaded, surroundings
from workers.engine_check.auction import hold_auction
from workers.engines.base import Engine
from workers.engines.deadline import within
from workers.errors import TesseraError
from workers.models import open_reference
from workers.settings import Settings

GROUP = "engine"
LONGEST_AUCTION = timedelta(seconds=120)
CHECKS = ("software", "devices", "engine", "calls", "model", "limits", "auction", "log-probabilities")


async def inspect_engine(settings: Settings) -> tuple[Verdict, ...]:
    """The checks in their order, as far as they can be made: an engine that does not load has no model to look at."""
    found = {"software": surroundings.software(settings), "devices": await surroundings.devices(settings)}
    try:
        found |= await _inspect_loaded(settings)
    except TesseraError as error:
        found["engine"] = (State.FAILED, str(error), "")
    return tuple(Verdict(GROUP, name, *found[name]) for name in CHECKS if name in found)


async def _inspect_loaded(settings: Settings) -> dict[str, loaded.Findings]:
    """What can be said of the engine once it is loaded. TesseraError: it does not load."""
    engine, load_s = await loaded.timed(open_reference(settings))
    try:
        found = loaded.findings(engine, settings, load_s)
        return found | await _inspect_at_work(engine, settings)
    finally:
        await engine.close()


async def _inspect_at_work(engine: Engine, settings: Settings) -> dict[str, loaded.Findings]:
    try:
        async with within(LONGEST_AUCTION):
            held = await hold_auction(engine, settings)
    except TesseraError as error:
        advice = "no auction can be held like this; start with a smaller model, M or reply"
        return {"auction": (State.FAILED, f"{type(error).__name__}: {error}", advice)}
    return {"auction": held.duration(), "log-probabilities": held.agreement()}
