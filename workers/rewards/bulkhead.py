"""What keeps one advertiser's own model from holding up the auctions of all."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from schemas.auction import Bidder
from workers.engines.calls import seconds_left, within, without_limits
from workers.errors import EngineError, EngineGone, EngineTimeout, EngineUnavailable, OwnModelDown, RetriesExhausted
from workers.rewards.base import Candidates
from workers.rewards.breaker import SlowCallBreaker
from workers.rewards.by_advertiser import Chosen
from workers.rewards.observing import CallOutcome, NoObserver, OwnModelObserver

SHARE = 0.5  # of what is left of an auction's time: the most that one model may use
FULL_S = 10.0  # what a model is judged by, or its own time-out where that is shorter: never what one query leaves it
SLOW_SHARE = 0.5  # of that: an answer that needs more of it is slow
PATIENCE_S = 1.0  # cut off by a query's deadline after less: says nothing of the model; after more: slow
DOWN = (EngineUnavailable, EngineGone)
LATE = (EngineTimeout, RetriesExhausted)


@dataclass(frozen=True, slots=True)
class CallResult:
    """How one call ended: rewards, or why there are none. Cut off early by a query's deadline, it says nothing."""

    outcome: CallOutcome
    slow: bool
    broken: bool  # enough to leave the model alone for a while
    telling: bool = True  # of the model
    rewards: NDArray[np.float64] | None = None
    error: EngineError | None = None


class Bulkhead:
    """`source`, whose model belongs to one advertiser: where it is down, gone or slow, OwnModelDown says so.

    The reference engine is everybody's, and auctions wait for it. Would they wait for this one, an advertiser could
    stop all the others' sales by switching off its server, or delay them by answering at the last moment. So a call has
    at most `timeout_s` and at most SHARE of what is left of the auction's time, and a breaker leaves a model out that
    failed, or whose recent answers were slow. Slow is judged by a time that no query changes: else whoever states short
    deadlines could switch off everybody's models. A model comes back by a probe: the question of an auction that does
    not wait for the answer, and whose deadline does not end it. A model that died inside this process ends nothing
    either: whoever can make its own model die could otherwise end workers, and after three deaths the user's query is
    refused. It abstains until somebody starts the process again.
    """

    def __init__(
        self,
        source: Chosen,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        model: str = "",
        observer: OwnModelObserver | None = None,
    ) -> None:
        self._source, self._timeout_s, self._clock = source, timeout_s, clock
        self._full_s = min(timeout_s, FULL_S)
        self._model, self._observer = model, observer or NoObserver()
        self._breaker = SlowCallBreaker(clock)
        self._why = ""  # it was left out
        self._probe: asyncio.Task[None] | None = None
        self._observer.own_model(model)

    @property
    def origin(self) -> str | None:
        return self._source.origin

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        if self._breaker.is_open:
            self._observer.own_model_skipped(self._model)
            self._probe_beside(candidates, advertiser)
            raise OwnModelDown(f"{self._why}; left out until a probe is answered in time")
        asked = await self._asked(candidates, advertiser, min(self._timeout_s, SHARE * seconds_left()))
        if asked.telling:
            self._judge(asked)
        if asked.rewards is None:
            raise asked.error or OwnModelDown("no rewards")
        return asked.rewards

    async def close(self) -> None:
        """Give up the probe under way; raises what is wrong with one that ended."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait([self._probe])
            self._raise_failure(self._probe)

    async def _asked(self, candidates: Candidates, advertiser: Bidder, limit_s: float) -> CallResult:
        began_s = self._clock()
        rewards: NDArray[np.float64] | None = None
        error: EngineError | None = None
        try:
            async with within(timedelta(seconds=limit_s)):
                rewards = await self._source.rewards(candidates, advertiser)
        except EngineError as failure:
            error = failure
        took_s = self._clock() - began_s
        asked = self._ended(rewards, error, took_s, limit_s)
        self._observer.own_model_asked(self._model, asked.outcome, took_s, slow=asked.slow)
        return asked

    def _judge(self, asked: CallResult) -> None:
        was_open = self._breaker.is_open
        if asked.broken:
            self._breaker.failed()
        else:
            self._breaker.answered(not asked.slow)
        self._why = str(asked.error or "its answers took too long")
        self._told(was_open)

    def _probe_beside(self, candidates: Candidates, advertiser: Bidder) -> None:
        """Ask once more where it is time to, one probe at a time; the auction does not wait for it."""
        if self._probe is not None and self._probe.done():
            self._raise_failure(self._probe)
            self._probe = None
        if self._probe is None and self._breaker.probe_due:
            probed = self._probed(candidates, advertiser)
            self._probe = asyncio.create_task(probed, context=without_limits())

    async def _probed(self, candidates: Candidates, advertiser: Bidder) -> None:
        """With all the time that a model is judged by, whatever is left to the auction."""
        asked = await self._asked(candidates, advertiser, self._full_s)
        self._breaker.probed(not (asked.broken or asked.slow))
        self._why = str(asked.error or "its answers took too long")
        self._told(was_open=True)

    def _raise_failure(self, probe: "asyncio.Task[None]") -> None:
        """A mistake of ours that a probe met is not swallowed."""
        if not probe.cancelled() and (error := probe.exception()):
            raise error

    def _told(self, was_open: bool) -> None:
        if self._breaker.is_open != was_open:
            self._observer.own_model_breakers(self._model, 1 if self._breaker.is_open else -1)

    def _ended(
        self, rewards: NDArray[np.float64] | None, error: EngineError | None, took_s: float, limit_s: float
    ) -> CallResult:
        slow = took_s > SLOW_SHARE * self._full_s
        if error is None:
            return CallResult(CallOutcome.ANSWERED, slow, broken=False, rewards=rewards)
        if isinstance(error, DOWN):
            return CallResult(CallOutcome.DOWN, slow, broken=True, error=_down(error))
        if isinstance(error, LATE):
            telling = limit_s >= min(self._full_s, PATIENCE_S)
            broken = limit_s >= self._full_s
            return CallResult(CallOutcome.TIMED_OUT, slow=telling, broken=broken, telling=telling, error=_down(error))
        return CallResult(CallOutcome.FAILED, slow, broken=False, error=error)


def _down(error: EngineError) -> OwnModelDown:
    down = OwnModelDown(str(error))
    down.__cause__ = error
    return down
