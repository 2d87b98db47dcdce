"""What keeps one advertiser's own model from holding up the auctions of all."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from schemas.auction import Bidder
from workers.engines.deadline import within
from workers.errors import EngineGone, EngineTimeout, EngineUnavailable, OwnModelDown, RetriesExhausted
from workers.rewards.base import Candidates
from workers.rewards.chosen import Chosen

PAUSE_S = 5.0  # after a failure; until then nobody waits for that model
PATIENCE_S = 1.0  # less than this is no time to answer in: an auction that was nearly late says nothing of a model


class Isolated:
    """`source`, whose model belongs to one advertiser: where it is down, gone or slow, OwnModelDown says so.

    The reference engine is everybody's, and auctions wait for it. Would they wait for this one, an advertiser could
    stop all the others' sales by switching off its server. A model that died inside this process ends nothing either:
    whoever can make its own model die could otherwise end workers, and after three deaths the user's query is refused.
    It abstains until somebody starts the process again. After a failure it is left alone for PAUSE_S, so that
    a model that never answers costs one auction its time-out and not each of them. The auction's own deadline may end
    the call before the time-out: that is a failure too, once the model had PATIENCE_S.
    """

    def __init__(self, source: Chosen, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._source, self._timeout, self._clock = source, timedelta(seconds=timeout_s), clock
        self._asked_again_at_s = float("-inf")

    @property
    def origin(self) -> str | None:
        return self._source.origin

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        if self._clock() < self._asked_again_at_s:
            raise OwnModelDown("it failed a moment ago")
        began_s = self._clock()
        try:
            async with within(self._timeout):
                return await self._source.rewards(candidates, advertiser)
        except asyncio.CancelledError:
            if self._clock() - began_s >= PATIENCE_S:
                self._pause()
            raise
        except (EngineUnavailable, EngineGone, EngineTimeout, RetriesExhausted) as error:
            self._pause()
            raise OwnModelDown(str(error)) from error

    def _pause(self) -> None:
        self._asked_again_at_s = self._clock() + PAUSE_S
