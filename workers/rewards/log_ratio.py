"""The paper's reward, log π_i(y|x) − log π_ref(y|x) in nats, times what a nat is worth to the advertiser (section 5).

π_i is the reference model told whom it speaks for, with LoRA weights of the advertiser's, or a model that it brought.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.auction import Bidder
from workers.engines.base import Engine, Scorer
from workers.engines.lazy import Lazy
from workers.errors import NotANumber
from workers.rewards.base import Candidates
from workers.rewards.by_advertiser import origin_of


@dataclass(frozen=True, slots=True)
class OwnModel:
    """`engine` has the reference model's tokenizer, and may be down."""

    engine: Lazy[Engine]

    @property
    def origin(self) -> str | None:
        model = self.engine.model
        return origin_of("model", model.identity.name, model.identity.model_sha256) if model else None

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        engine = await self.engine.available()
        return await log_ratio(engine, candidates.reference_turn, candidates, advertiser)


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
            return await log_ratio(self.scorer, candidates.reference_turn, candidates, advertiser)
        except NotANumber:
            return np.full(len(candidates.replies), np.nan)


@dataclass(frozen=True, slots=True)
class LogRatio:
    """The advertiser's model is the engine's, told to advertise."""

    engine: Scorer

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        turn = candidates.prompts.advertiser_turn(candidates.question, advertiser)
        return await log_ratio(self.engine, turn, candidates, advertiser)


async def log_ratio(scorer: Scorer, turn: str, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
    """float64 [M] micros: value · (log π_i(y|x) − log π_ref(y|x)) of each reply y (paper, section 5).

    π_i is `scorer` given `turn`, log π_ref is `candidates.log_ref` [M] in nats, the value that of `advertiser`.
    """
    log_own = await scorer.log_probs(scorer.encode(turn), candidates.replies)
    return np.asarray(advertiser.value_micros_per_nat * (log_own - candidates.log_ref))
