"""A model that may be down when the process starts: opened when it answers, asked for by many, closed once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, NoReturn, Protocol, TypeVar

from workers.errors import EngineGone, EngineUnavailable, SettingsError


class Closable(Protocol):
    """What has to be closed."""

    async def close(self) -> None: ...


M = TypeVar("M", bound=Closable)


class Late(Generic[M]):
    """`open_model` is tried at each `opened` until it succeeds once; one attempt at a time serves all that wait.

    `reopens`: a model that is gone at work is opened again for the next who asks, with all that opening checks.
    """

    def __init__(self, open_model: Callable[[], Awaitable[M]], *, reopens: bool = False) -> None:
        self._open_model, self._reopens = open_model, reopens
        self._attempt: asyncio.Future[M] | None = None
        self._uses: Counter[asyncio.Future[M]] = Counter()  # of what each attempt opened, at work

    @classmethod
    def of(cls, model: M) -> "Late[M]":
        """One that is open already. Only where a loop runs."""
        late = cls(_never)
        late._attempt = asyncio.get_running_loop().create_future()
        late._attempt.set_result(model)
        return late

    @property
    def model(self) -> M | None:
        """The model, if it is open."""
        return self._attempt.result() if self._attempt and _succeeded(self._attempt) else None

    async def opened(self) -> M:
        """The model. EngineUnavailable: it does not answer; SettingsError: it is not the model it should be.

        Who waits may be cancelled; the attempt goes on for the others and for the next.
        """
        return await asyncio.shield(self._current())

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[M]:
        """The model, where a process that runs asks: another model than expected is down like one that is silent."""
        attempt = self._current()
        self._uses[attempt] += 1
        try:
            yield await _as_expected(attempt)
        except EngineGone:
            if self._reopens and self._attempt is attempt:
                self._attempt = None
            raise
        finally:
            self._uses[attempt] -= 1
            await self._bury(attempt)

    def _current(self) -> "asyncio.Future[M]":
        """The attempt that succeeded or is under way, or a new one."""
        if self._attempt is None or (self._attempt.done() and not _succeeded(self._attempt)):
            self._attempt = asyncio.ensure_future(self._open_model())
        return self._attempt

    async def _bury(self, attempt: "asyncio.Future[M]") -> None:
        """Close what it opened once it is given up and the last has let go of it."""
        if self._uses[attempt] > 0:
            return
        del self._uses[attempt]
        if attempt is not self._attempt and _succeeded(attempt):
            await attempt.result().close()

    async def close(self) -> None:
        """Give up an attempt under way and close what was opened."""
        if self._attempt is None:
            return
        self._attempt.cancel()
        await asyncio.wait([self._attempt])
        if self.model is not None:
            await self.model.close()


async def _as_expected(attempt: "asyncio.Future[M]") -> M:
    try:
        return await asyncio.shield(attempt)
    except SettingsError as error:
        raise EngineUnavailable(str(error)) from error


async def _never() -> NoReturn:
    raise AssertionError("a model that is open is not opened again")


def _succeeded(attempt: "asyncio.Future[M]") -> bool:
    return attempt.done() and not attempt.cancelled() and attempt.exception() is None
