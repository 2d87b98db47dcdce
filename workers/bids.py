"""What the mechanism is given, read from a scored event: who bids, for which party, and the numbers of the auction."""

from collections.abc import Collection, Sequence

import numpy as np

from schemas.auction import Bidder, CandidatesScored
from workers.mechanism.allocation import Numbers
from workers.mechanism.link_groups import Grouped, group


def bids(scored: CandidatesScored, without: Collection[str] = ()) -> tuple[Sequence[Bidder], Grouped]:
    """Who bids, in the event's order, and the bids of their parties; at least one is not among those `without`."""
    bidding = scored.rewards_micros.keys() - set(without) if without else scored.rewards_micros.keys()
    bidders = [advertiser for advertiser in scored.advertisers if advertiser.advertiser_id in bidding]
    rewards = np.array([scored.rewards_micros[bidder.advertiser_id] for bidder in bidders])
    return bidders, group(rewards, [_party(bidder) for bidder in bidders])


def _party(bidder: Bidder) -> tuple[str, ...]:
    """What tells parties apart; no link group has the name of somebody outside it."""
    return (bidder.advertiser_id,) if bidder.link_group is None else ("group", bidder.link_group)


def numbers(scored: CandidatesScored, grouped: Grouped) -> Numbers:
    """What the mechanism is given: the candidates' weights and the parties' bids."""
    return Numbers(
        log_q=np.array([candidate.log_q for candidate in scored.candidates]),
        log_ref=np.array(scored.log_ref),
        rewards=grouped.rewards,
        tau=scored.tau_micros_per_nat,
    )
