"""Do the language models work here as the workers need them? What is installed, what they run on, and one auction."""

from contextlib import AsyncExitStack
from datetime import timedelta

from workers.app.models import Models, open_models
from workers.doctor import loaded, machine
from workers.doctor.trial_auction import hold_auction
from workers.doctor.verdict import State, Verdict
from workers.engines.calls import within
from workers.errors import TesseraError
from workers.settings import Settings

GROUP = "engine"
LONGEST_AUCTION = timedelta(seconds=120)
CHECKS = (
    "software",
    "devices",
    "engine",
    "calls",
    "model",
    "limits",
    "proposal",
    "rewards",
    "auction",
    "log-probabilities",
)


async def inspect_engine(settings: Settings) -> tuple[Verdict, ...]:
    """The checks in their order, as far as they can be made: an engine that does not load has no model to look at."""
    found = {"software": machine.software(settings), "devices": await machine.devices(settings)}
    try:
        await _inspect_loaded(settings, found)
    except Exception as error:  # noqa: BLE001  # also what a library raises: to who asks what is wrong, an answer
        found["engine"] = (State.FAILED, _said(error), "")
    return tuple(Verdict(GROUP, name, *found[name]) for name in CHECKS if name in found)


async def _inspect_loaded(settings: Settings, found: dict[str, loaded.Findings]) -> None:
    """Adds what can be said of the engines once all are loaded. Raises what keeps one from loading."""
    async with AsyncExitStack() as stack:
        opening = open_models(settings, proposal=True, rewards=True)
        models, load_s = await loaded.timed(stack.enter_async_context(opening))
        found |= loaded.findings(models, settings, load_s)
        found |= await _inspect_at_work(models, settings)


async def _inspect_at_work(models: Models, settings: Settings) -> dict[str, loaded.Findings]:
    try:
        async with within(LONGEST_AUCTION):
            held = await hold_auction(models, settings)
    except Exception as error:  # noqa: BLE001  # the same
        advice = "no auction can be held like this; start with a smaller model, M or reply"
        return {"auction": (State.FAILED, f"{type(error).__name__}: {error}", advice)}
    return {"auction": held.duration(), "log-probabilities": held.agreement()}


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, TesseraError) else f"{type(error).__name__}: {error}"
