"""Rewards from a model that reads no reply in which a rival is named."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from schemas.auction import Bidder
from workers.engines.base import Reply
from workers.rewards.base import Candidates
from workers.rewards.by_advertiser import Chosen


@dataclass(frozen=True, slots=True)
class HiddenRivals:
    """`source` is asked of the replies that name no rival; each of the others is worth 0 to the advertiser.

    0 micros is what a reply is worth that its own model finds as probable as the reference model does: the advertiser
    neither pays for it nor against it. A name is withheld with its reply: with another word in its place it would be
    another reply, whose probability says nothing of this one.
    """

    source: Chosen

    @property
    def origin(self) -> str | None:
        return self.source.origin

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        names = _rivals(candidates.bidders, advertiser)
        shown = [place for place, reply in enumerate(candidates.replies) if not _names_any(reply, names)]
        found = np.zeros(len(candidates.replies))
        if shown:
            found[shown] = await self.source.rewards(_only(candidates, shown), advertiser)
        return found


def _rivals(bidders: Sequence[Bidder], advertiser: Bidder) -> list[str]:
    """Names, without case, of who bids beside the advertiser and is not of its party."""
    own = {advertiser.link_group} - {None}
    others = [one for one in bidders if one.advertiser_id != advertiser.advertiser_id and one.link_group not in own]
    return [one.name.casefold() for one in others]


def _names_any(reply: Reply, names: Sequence[str]) -> bool:
    text = reply.text.casefold()
    return any(name in text for name in names)


def _only(candidates: Candidates, places: Sequence[int]) -> Candidates:
    replies = tuple(candidates.replies[place] for place in places)
    return replace(candidates, replies=replies, log_ref=candidates.log_ref[list(places)])
