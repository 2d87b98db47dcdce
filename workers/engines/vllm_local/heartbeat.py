"""Notices an engine core that lives and does nothing: stopped, or stuck in a driver.

Nobody else would. Its process is there, vLLM's front end waits for ever, and each request ends at its auction's
deadline, as if the auction had come late.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from workers.errors import EngineGone, EngineTimeout

#: The core answers between two steps, and a step takes less once everything is compiled. An auction without a deadline
#: of its own has 60: it learns the truth before that.
SILENT_S = 30.0
LOOKS = 30  # in that time. An event loop that was blocked, or a process that was stopped, has missed one, not all


def silence_s(timeout_s: float) -> float:
    """How long a core may be silent where a request may take `timeout_s`: whoever has slower steps allows more."""
    return max(SILENT_S, timeout_s / 2)


class Heartbeat:
    """From `begin` on, asks with `ask` for a sign of life while somebody waits. Nothing is left when nobody does."""

    def __init__(self, ask: Callable[[], Awaitable[object]], silent_s: float) -> None:
        self._ask, self.silent_s = ask, silent_s
        self._waiting: set[asyncio.Timeout] = set()
        self._watching: asyncio.Task[None] | None = None
        self.began = False
        self._gone_because: str | None = None

    def begin(self) -> None:
        """The core is warm: it has no reason to be silent."""
        self.began = True

    @asynccontextmanager
    async def within(self, limit_s: float) -> AsyncIterator[None]:
        """What is awaited inside may take `limit_s`: EngineTimeout. EngineGone: the core is silent, now or before."""
        self._require_alive()
        limit = asyncio.timeout(limit_s)
        try:
            async with limit:
                self._waiting.add(limit)
                self._watch()
                yield
        except TimeoutError as error:
            self._require_alive()
            raise EngineTimeout(f"vLLM gave no answer within {limit_s:g} s") from error
        finally:
            self._waiting.discard(limit)

    @property
    def stopped(self) -> bool:
        """Whether the core was given up."""
        return self._gone_because is not None

    async def close(self) -> None:
        """Nothing is asked any more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    def _require_alive(self) -> None:
        if self._gone_because is not None:
            raise EngineGone(self._gone_because)

    def _watch(self) -> None:
        if self.began and (self._watching is None or self._watching.done()):
            self._watching = asyncio.create_task(self._keep_asking(), name="vLLM's heartbeat")

    async def _keep_asking(self) -> None:
        """Whoever has a short deadline leaves before the silence is long enough; what was asked is still awaited."""
        try:
            while self._waiting:
                await asyncio.sleep(self.silent_s / LOOKS)
                if not await self._answers():
                    return self._give_up(f"has not answered for {self.silent_s:g} s, though its process is there")
        except Exception as error:  # noqa: BLE001  # vLLM passes on whatever it met; those who wait get it
            self._give_up(f"cannot be asked whether it lives: {error or type(error).__name__}")

    async def _answers(self) -> bool:
        asked = asyncio.ensure_future(self._ask())
        try:
            for _ in range(LOOKS):
                if (await asyncio.wait([asked], timeout=self.silent_s / LOOKS))[0]:
                    await asked
                    return True
            return False
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    def _give_up(self, because: str) -> None:
        self._gone_because = f"vLLM's engine core {because}; this process cannot get another"
        for limit in self._waiting:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())
