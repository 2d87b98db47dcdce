"""Each advertiser's rewards from the source that was chosen for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.auction import Bidder
from workers.rewards.base import Candidates, RewardSource

MAX_PART = 140  # characters of what a name adds to an origin


class Chosen(RewardSource, Protocol):
    """A source that was chosen; `origin` says what its rewards come from, as in the scored event."""

    @property
    def origin(self) -> str | None:
        """`kind:name@sha256`, as in the scored event; None while its model was never reached."""
        ...


@dataclass(frozen=True, slots=True)
class ByAdvertiser:
    """Picks by the advertiser's id and nothing else: neither its own bid nor another's has a say in it."""

    default: RewardSource
    chosen: Mapping[str, Chosen] = field(default_factory=dict)

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        source = self.chosen.get(advertiser.advertiser_id, self.default)
        return await source.rewards(candidates, advertiser)

    def is_chosen(self, advertiser_id: str) -> bool:
        """Whether an advertiser has a source of its own."""
        return advertiser_id in self.chosen

    def origin(self, advertiser_id: str) -> str | None:
        """What an advertiser's rewards come from; None for the default, and for a model that was never reached."""
        source = self.chosen.get(advertiser_id)
        return source.origin if source else None


def origin_of(kind: str, what: str, model_sha256: str) -> str:
    """`kind:what@model_sha256`, as the scored event holds it; `what` is cut, and made printable ASCII."""
    return f"{kind}:{re.sub(r'[^!-~]', '?', what[:MAX_PART]) or '?'}@{model_sha256}"
