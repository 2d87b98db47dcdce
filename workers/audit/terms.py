"""The terms that auctions were held on, day by day: what an operator changes shows, however few auctions it touches."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.auction import CandidatesScored

MOST_ROWS = 10_000  # what comes on top of so many is counted, and not told apart


class AuctionTerms(NamedTuple):
    """What one auction was held on. `models`: name and digest of each model it used, first the one it was drawn by.

    `prompts`: the words these were asked in, likewise; none where they are the paper's.
    """

    tau_micros_per_nat: int
    currency: str
    payment_rule: str
    models: tuple[str, ...]
    prompts: tuple[str, ...] = ()


def terms_of(scored: CandidatesScored) -> AuctionTerms:
    """The terms that a scored event names."""
    engines = (scored.engine, scored.reference_engine, scored.scoring_engine)
    models = dict.fromkeys(f"{one.name}@{one.model_sha256[:12]}" for one in engines if one is not None)
    words = (scored.sampling.prompts, scored.scoring_prompts)
    prompts = dict.fromkeys(f"{one.version}@{one.sha256[:12]}" for one in words if one is not None)
    known = scored.tau_micros_per_nat, scored.currency, scored.payment_rule
    return AuctionTerms(*known, tuple(models), tuple(prompts))


@dataclass
class TermsByDay:
    """How many auctions each day (UTC) had on which terms."""

    others: int = 0  # auctions on terms that are not told apart
    _auctions: Counter[tuple[str, AuctionTerms]] = field(default_factory=Counter)

    def add(self, day: str, terms: AuctionTerms) -> None:
        """One auction."""
        if (day, terms) in self._auctions or len(self._auctions) < MOST_ROWS:
            self._auctions[day, terms] += 1
        else:
            self.others += 1

    def include(self, other: "TermsByDay") -> None:
        """The auctions of another share of the log."""
        self.others += other.others
        for (day, terms), count in other._auctions.items():
            if (day, terms) in self._auctions or len(self._auctions) < MOST_ROWS:
                self._auctions[day, terms] += count
            else:
                self.others += count

    def rows(self) -> list[tuple[str, AuctionTerms, int]]:
        """Day, terms and how many auctions, by day, the commonest terms first."""
        found = [(day, terms, count) for (day, terms), count in self._auctions.items()]
        return sorted(found, key=lambda row: (row[0], -row[2], row[1]))
