"""A model that may be down when the process starts: opened when it answers, asked for by many, closed once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, NoReturn, Protocol, TypeVar

from workers.errors import EngineUnavailable, SettingsError


class Closable(Protocol):
    """What has to be closed."""

    async def close(self) -> None: ...


M = TypeVar("M", bound=Closable)


class Lazy(Generic[M]):
    """`open_model` is tried at each `opened` until it succeeds once; one attempt at a time serves all that wait."""

    def __init__(self, open_model: Callable[[], Awaitable[M]]) -> None:
        self._open_model = open_model
        self._attempt: asyncio.Future[M] | None = None

    @classmethod
    def of(cls, model: M) -> "Lazy[M]":
        """One that is open already. Only where a loop runs."""
        lazy = cls(_never)
        lazy._attempt = asyncio.get_running_loop().create_future()
        lazy._attempt.set_result(model)
        return lazy

    @property
    def model(self) -> M | None:
        """The model, if it is open."""
        return self._attempt.result() if self._attempt and _succeeded(self._attempt) else None

    async def opened(self) -> M:
        """The model. EngineUnavailable: it does not answer; SettingsError: it is not the model it should be.

        Who waits may be cancelled; the attempt goes on for the others and for the next.
        """
        if self._attempt is None or (self._attempt.done() and not _succeeded(self._attempt)):
            self._attempt = asyncio.ensure_future(self._open_model())
        return await asyncio.shield(self._attempt)

    async def available(self) -> M:
        """The model, where a process that runs asks: another model than expected is down like one that is silent."""
        try:
            return await self.opened()
        except SettingsError as error:
            raise EngineUnavailable(str(error)) from error

    async def close(self) -> None:
        """Give up an attempt under way and close what was opened."""
        if self._attempt is None:
            return
        self._attempt.cancel()
        await asyncio.wait([self._attempt])
        if self.model is not None:
            await self.model.close()


async def _never() -> NoReturn:
    raise AssertionError("a model that is open is not opened again")


def _succeeded(attempt: "asyncio.Future[M]") -> bool:
    return attempt.done() and not attempt.cancelled() and attempt.exception() is None
