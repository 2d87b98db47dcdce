"""The watch for split bids over logged auctions: scored events in, suspects out. No model, no clock, no network."""

from dataclasses import dataclass, field

from schemas.auction import CandidatesScored
from workers.bids import bids, numbers
from workers.truthfulness.split_bids import SplittingWatch, SuspectPair


@dataclass(frozen=True)
class SplittingReport:
    """One watch for each currency: amounts of different ones do not add up."""

    watches: dict[str, SplittingWatch] = field(default_factory=dict)

    def add(self, scored: CandidatesScored) -> None:
        """One auction, as settlement takes it: a link group is one party already. One not held is passed over."""
        if not scored.is_held:
            return
        bidders, grouped = bids(scored)
        allocation = numbers(scored, grouped).solve()
        names = [bidders[members[0]].advertiser_id for members in grouped.members]
        rewards = dict(zip(names, grouped.rewards, strict=True))
        watch = self.watches.setdefault(scored.currency, SplittingWatch())
        watch.add(rewards, allocation.log_pi, scored.tau_micros_per_nat)

    def suspects(self, min_auctions: int, min_cosine: float) -> list[tuple[str, SuspectPair]]:
        """Currency and pair; by currency, the greatest loss first."""
        return [
            (currency, pair)
            for currency, watch in sorted(self.watches.items())
            for pair in watch.suspects(min_auctions, min_cosine)
        ]

    def judged(self, min_auctions: int) -> int:
        """How many pairs shared at least so many auctions."""
        return sum(watch.judged(min_auctions) for watch in self.watches.values())

    @property
    def auctions(self) -> int:
        """How many were held."""
        return sum(watch.auctions for watch in self.watches.values())

    @property
    def pairs(self) -> int:
        """How many pairs of advertisers met and are kept."""
        return sum(len(watch) for watch in self.watches.values())

    @property
    def evicted(self) -> int:
        """How many pairs had to go for want of room."""
        return sum(watch.evicted for watch in self.watches.values())
