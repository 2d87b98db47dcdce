"""Whether an engine that let a deadline pass answers anybody: one token of a short question tells."""

from datetime import timedelta

from workers.engines.base import Engine
from workers.engines.deadline import within
from workers.errors import EngineRejected, EngineTimeout, EngineUnavailable, RetriesExhausted
from workers.prompts import reference_turn

QUESTION = "Are you there?"
ANSWERS_WITHIN = timedelta(seconds=5)


async def insist_answer(engine: Engine) -> None:
    """EngineUnavailable: not even that within ANSWERS_WITHIN, so that it was not the question that was too much."""
    try:
        async with within(ANSWERS_WITHIN):
            await engine.sample(engine.encode(reference_turn(QUESTION)), seeds=[0], max_tokens=1)
    except (EngineTimeout, RetriesExhausted) as error:
        raise EngineUnavailable(
            f"the engine {engine.identity.name} let a deadline pass, and then draws no token within "
            f"{ANSWERS_WITHIN.total_seconds():g} s: it hangs, or has far too much to do"
        ) from error
    except EngineRejected:
        return  # an answer
