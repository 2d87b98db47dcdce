"""The paper's reward, log π_i(y|x) − log π_ref(y|x) in nats, times what a nat is worth to the advertiser (§5)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.auction import Bidder
from workers.engines.base import Engine
from workers.prompts import advertiser_turn
from workers.rewards.base import Candidates


@dataclass(frozen=True, slots=True)
class LogRatio:
    """The advertiser's model is the engine's, told to advertise."""

    engine: Engine

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        prompt = self.engine.encode(advertiser_turn(candidates.question, advertiser))
        log_own = await self.engine.log_probs(prompt, candidates.replies)
        return np.asarray(advertiser.value_micros_per_nat * (log_own - candidates.log_ref))
