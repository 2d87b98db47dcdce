"""Lift is exact: the probability of being named with and without the bid, as recomputed by hand."""

import math

import pytest

from schemas.auction import CandidatesScored
from tests.receipts.sales import linked
from tests.support.builders import make_candidate, make_scored
from workers.receipts.lift import lift_of

TEXTS = ("Try BRAND00 today.", "Nothing here.", "Brand00s are others.", "Brand00: yes!")
CANDIDATES = [make_candidate(index, text=text) for index, text in enumerate(TEXTS)]
NAMED = (0, 3)


def odds(scored: CandidatesScored, bidders: list[str]) -> list[float]:
    """softmax(Σ r/τ + log π_ref − log q), by hand."""
    scores = [
        sum(scored.rewards_micros[one][place] for one in bidders) / scored.tau_micros_per_nat + ref - candidate.log_q
        for place, (candidate, ref) in enumerate(zip(scored.candidates, scored.log_ref, strict=True))
    ]
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


@pytest.mark.parametrize(("groups", "others"), [((None, None), [1]), (("a", None, "a"), [1])])
def test_lift_is_the_sum_over_the_candidates_that_name_the_advertiser(
    groups: tuple[str | None, ...], others: list[int]
) -> None:
    scored = make_scored(3, candidates=CANDIDATES, advertisers=linked(groups)).data
    ids = [bidder.advertiser_id for bidder in scored.advertisers]

    found = lift_of(scored, ids[0])

    assert found is not None
    assert found.named_with == pytest.approx(sum(odds(scored, ids)[place] for place in NAMED), rel=1e-12)
    rest = odds(scored, [ids[place] for place in others])
    assert found.named_without == pytest.approx(sum(rest[place] for place in NAMED), rel=1e-12)


def test_whoever_did_not_bid_has_no_lift() -> None:
    assert lift_of(make_scored(3).data, "somebody-else") is None
