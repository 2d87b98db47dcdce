"""The paper's reward, log π_i(y|x) − log π_ref(y|x) in nats, times what a nat is worth to the advertiser (§5)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.auction import Bidder
from workers.engines.base import Scorer
from workers.engines.prompts import advertiser_turn
from workers.rewards.base import Candidates


@dataclass(frozen=True, slots=True)
class LogRatio:
    """The advertiser's model is the engine's, told to advertise."""

    engine: Scorer

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        turn = advertiser_turn(candidates.question, advertiser)
        return await log_ratio(self.engine, turn, candidates, advertiser)


async def log_ratio(scorer: Scorer, turn: str, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
    """[M] micros: how much more probable `scorer`, given the turn, finds each reply than the reference model does."""
    log_own = await scorer.log_probs(scorer.encode(turn), candidates.replies)
    return np.asarray(advertiser.value_micros_per_nat * (log_own - candidates.log_ref))
