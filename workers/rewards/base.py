"""What a reward source is: it says what each candidate is worth to one advertiser."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.auction import Bidder
from workers.engines.base import Reply
from workers.engines.prompts import PAPER, Prompts


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)  # one object is one auction: a key for what it costs
class Candidates:
    """The replies of one auction and what is already known of them; of advertisers only who bids."""

    question: str
    replies: Sequence[Reply]
    log_ref: NDArray[np.float64]  # [M] nats
    prompts: Prompts = PAPER  # how models are asked
    bidders: Sequence[Bidder] = ()  # whose names may have to be kept from a model; no reward depends on their bids

    @property
    def reference_turn(self) -> str:
        """What the reference model is asked, and every model that speaks for one advertiser by its weights."""
        return self.prompts.reference_turn(self.question)


class RewardSource(Protocol):
    """What candidates are worth to an advertiser, before they are clamped to its declared range.

    A reward may depend on the question, the replies, the reference model and this advertiser; never on another's bid.
    """

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        """float64 [M] micros, one for each of the M replies of `candidates` in their order.

        A log-ratio in nats (paper, section 5), or its approximation, times the value per nat of `advertiser`. What is
        not finite makes the advertiser abstain. EngineError: its model cannot be asked.
        """
        ...
