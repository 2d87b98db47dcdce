"""The log-ratio of a model that the advertiser brought over the reference model, both asked the question alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.auction import Bidder
from workers.engines.base import Engine
from workers.engines.lazy import Late
from workers.engines.prompts import reference_turn
from workers.rewards.base import Candidates
from workers.rewards.by_advertiser import origin_of
from workers.rewards.log_ratio import log_ratio


@dataclass(frozen=True, slots=True)
class OwnModel:
    """`engine` has the reference model's tokenizer, and may be down."""

    engine: Late[Engine]

    @property
    def origin(self) -> str | None:
        model = self.engine.model
        return origin_of("model", model.identity.name, model.identity.model_sha256) if model else None

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        engine = await self.engine.at_work()
        return await log_ratio(engine, reference_turn(candidates.question), candidates, advertiser)
