"""A model that is opened when it answers: one attempt at a time, whoever waits, and closed once."""

import asyncio

import pytest

from workers.engines.lazy import Lazy
from workers.errors import EngineUnavailable, SettingsError


class Model:
    """Counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


class Door:
    """Opens a model when it is told to, or raises what it is told to."""

    def __init__(self, *results: Model | Exception) -> None:
        self.results, self.tried = list(results), 0
        self.go_on = asyncio.Event()

    async def __call__(self) -> Model:
        self.tried += 1
        await self.go_on.wait()
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


async def test_concurrent_callers_share_one_attempt_to_open() -> None:
    door = Door(Model())
    late = Lazy(door)
    waiting = [asyncio.ensure_future(late.opened()) for _ in range(5)]
    await asyncio.sleep(0)
    assert late.model is None

    door.go_on.set()
    models = await asyncio.gather(*waiting)

    assert len(set(models)) == 1 and late.model is models[0] and door.tried == 1


async def test_a_failed_attempt_is_raised_to_each_caller_and_the_next_call_tries_again() -> None:
    door = Door(EngineUnavailable("down"), Model())
    door.go_on.set()
    late = Lazy(door)

    for found in await asyncio.gather(late.opened(), late.opened(), return_exceptions=True):
        assert isinstance(found, EngineUnavailable)
    assert await late.opened() is late.model
    assert door.tried == 2


async def test_a_cancelled_caller_does_not_end_the_shared_attempt() -> None:
    door = Door(Model())
    late = Lazy(door)
    impatient = asyncio.ensure_future(late.opened())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])

    door.go_on.set()

    assert await late.opened() is late.model
    assert door.tried == 1


async def test_a_model_that_returns_as_another_one_counts_as_unavailable() -> None:
    door = Door(SettingsError("another tokenizer"), SettingsError("another tokenizer"))
    door.go_on.set()
    late = Lazy(door)

    with pytest.raises(SettingsError):
        await late.opened()
    with pytest.raises(EngineUnavailable, match="another tokenizer"):
        await late.available()


@pytest.mark.parametrize("when", ["never asked", "on its way", "open", "failed"])
async def test_closing_a_lazy_engine_leaves_nothing_open(when: str) -> None:
    model = Model()
    door = Door(EngineUnavailable("down") if when == "failed" else model)
    late = Lazy(door)
    waiting = None if when == "never asked" else asyncio.ensure_future(late.opened())
    await asyncio.sleep(0)
    if when in ("open", "failed"):
        door.go_on.set()
        assert waiting
        await asyncio.wait([waiting])

    await late.close()

    assert model.closed == (when == "open")
    if waiting:
        await asyncio.gather(waiting, return_exceptions=True)


async def test_an_engine_that_is_open_is_not_opened_again() -> None:
    model = Model()
    late = Lazy.of(model)

    assert late.model is model and await late.opened() is model
