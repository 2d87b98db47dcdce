"""The log-ratio of LoRA weights over the reference model: what the advertiser trained, asked the question alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.auction import Bidder
from workers.engines.base import Scorer
from workers.engines.prompts import reference_turn
from workers.errors import NotANumber
from workers.rewards.base import Candidates
from workers.rewards.by_advertiser import origin_of
from workers.rewards.log_ratio import log_ratio


@dataclass(frozen=True, slots=True)
class Lora:
    """`scorer` is the reference engine's adapter `name`.

    Where these weights give no number, there is no reward: the advertiser abstains. The reference model itself has
    scored the same replies just before.
    """

    name: str
    scorer: Scorer

    @property
    def origin(self) -> str:
        return origin_of("lora", self.name, self.scorer.identity.model_sha256)

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        try:
            return await log_ratio(self.scorer, reference_turn(candidates.question), candidates, advertiser)
        except NotANumber:
            return np.full(len(candidates.replies), np.nan)
