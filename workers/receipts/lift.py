"""An advertiser's lift, exactly: how often a reply names it with its bid and without, from π and π₋ᵢ."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from schemas.auction import CandidatesScored
from workers.bids import bids, numbers


@dataclass(frozen=True, slots=True)
class Lift:
    """Probabilities that the reply to this query names the advertiser. No experiment is needed: both are known."""

    named_with: float
    named_without: float


def lift_of(scored: CandidatesScored, advertiser_id: str) -> Lift | None:
    """Σⱼ π_j and Σⱼ π₋ᵢ,j over the candidates that name the advertiser; None where it did not bid.

    Without it is without its whole party.
    """
    bidders, grouped = bids(scored)
    places = [place for place, bidder in enumerate(bidders) if bidder.advertiser_id == advertiser_id]
    if not places:
        return None
    allocation = numbers(scored, grouped).solve()
    party = next(row for row, members in enumerate(grouped.members) if places[0] in members)
    name = bidders[places[0]].name
    named = np.array([is_named(name, candidate.text) for candidate in scored.candidates])
    sums = (float(pi[named].sum()) for pi in (allocation.pi, np.exp(allocation.log_pi_without[party])))
    return Lift(*(min(1.0, total) for total in sums))


def is_named(name: str, text: str) -> bool:
    """Whether the text has the name as a word of its own, in whatever case."""
    return _pattern(name).search(_folded(text)) is not None


@lru_cache(1_024)
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(_folded(name))}(?!\w)")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
