"""Logged auctions settled again under other terms: what revenue, rewards and replies would have been.

Expectations over the logged candidates in closed form: no model runs and nothing is drawn. Bids are taken as they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from schemas.auction import Bidder, CandidatesScored
from schemas.envelope import Event
from workers.bids import bids, numbers
from workers.held import is_held
from workers.id_set import KnownIds
from workers.mechanism.allocation import Allocation, Floats, Numbers
from workers.mechanism.link_groups import Grouped
from workers.mechanism.payments import RULES, whole_micros
from workers.receipts.lift import is_named

ON_AVERAGE = {"outcome": "offset"}  # a rule that charges by the drawn reply, and the one it is equal to in expectation
FEW_CANDIDATES = 3.0  # an effective sample size below that: the figures of an auction rest on two or three replies


@dataclass(frozen=True, slots=True)
class OtherTerms:
    """What is different from the log; None, 1 and nobody: as each auction was held."""

    tau_micros_per_nat: int | None = None
    payment_rule: str | None = None
    without: frozenset[str] = frozenset()  # advertisers that stay away
    tau_factor: float = 1.0  # of each auction's own τ, where none is given


@dataclass(slots=True)
class AdvertiserSums:
    """One advertiser over all auctions. Rewards are expectations over the replies."""

    name: str = ""
    auctions: int = 0
    charged_micros: int = 0
    reward_micros: float = 0.0


@dataclass(slots=True)
class TermsSums:
    """All auctions of one currency under some terms; what is not whole is an expectation over the replies."""

    terms: OtherTerms
    auctions: int = 0  # in which somebody bids
    unsold: int = 0  # in which nobody is left who bids
    revenue_micros: int = 0
    reward_micros: float = 0.0
    influence_nats: float = 0.0  # KL(π ‖ π without any bid), summed over auctions
    effective_sample_size: float = 0.0  # summed over auctions
    with_few_candidates: int = 0
    welfare_micros: float = 0.0  # rewards less the KL above at the auction's own τ: what it maximised
    naming: float = 0.0  # probability that the reply names a bidder of the log, summed over auctions
    advertisers: dict[str, AdvertiserSums] = field(default_factory=dict)


class WhatIf:
    """The auctions as they were held, and under each of the terms; of several with one query id the first counts."""

    def __init__(self, alternatives: Sequence[OtherTerms]) -> None:
        self.passed_over = 0  # not held, or another auction of a query that had one
        self.currencies: dict[str, list[TermsSums]] = {}
        self._terms = (OtherTerms(), *alternatives)
        self._queries = KnownIds()

    def add(self, event: Event[CandidatesScored]) -> None:
        """Count one auction."""
        scored = event.data
        if not is_held(event) or scored.query_id in self._queries:
            self.passed_over += 1
            return
        self._queries.add(scored.query_id)
        known = self.currencies.setdefault(scored.currency, [TermsSums(terms) for terms in self._terms])
        naming = _naming(scored)
        for sums in known:
            _count(sums, scored, naming)


def expected_prices(rule: str, numbers: Numbers, allocation: Allocation) -> Floats:
    """[N] micros before rounding: what each party pays on average over the draws."""
    return RULES[ON_AVERAGE.get(rule, rule)].price(numbers, allocation, 0)


def influence_of_all(numbers: Numbers, allocation: Allocation) -> float:
    """KL(π ‖ π₀) in nats, ≥ 0: how far all bids together moved the reply from the reference model's, π₀."""
    scores = numbers.log_ref - numbers.log_q
    possible = allocation.pi > 0
    differences = allocation.log_pi[possible] - (scores - np.logaddexp.reduce(scores))[possible]
    return max(0.0, float(allocation.pi[possible] @ differences))


def _naming(scored: CandidatesScored) -> Floats:
    """[M] 1 where the candidate names somebody who bids, else 0."""
    names = [one.name for one in scored.advertisers if one.advertiser_id in scored.rewards_micros]
    return np.array([float(any(is_named(name, one.text) for name in names)) for one in scored.candidates])


def _count(sums: TermsSums, scored: CandidatesScored, naming: Floats) -> None:
    terms = sums.terms
    if scored.rewards_micros.keys() <= terms.without:
        sums.unsold += 1
        return
    bidders, grouped = bids(scored, terms.without)
    logged = numbers(scored, grouped)
    tau = terms.tau_micros_per_nat or terms.tau_factor * logged.tau
    changed = Numbers(logged.log_q, logged.log_ref, logged.rewards, tau)
    allocation = changed.solve()
    prices = expected_prices(terms.payment_rule or scored.payment_rule, changed, allocation)
    sums.auctions += 1
    influence = influence_of_all(changed, allocation)
    sums.influence_nats += influence
    sums.welfare_micros -= logged.tau * influence
    sums.naming += float(naming @ allocation.pi)
    sums.effective_sample_size += allocation.effective_sample_size
    sums.with_few_candidates += allocation.effective_sample_size < FEW_CANDIDATES
    _charge(sums, bidders, grouped, whole_micros(prices))
    _reward(sums, scored, bidders, allocation)


def _charge(sums: TermsSums, bidders: Sequence[Bidder], grouped: Grouped, charges: Sequence[int]) -> None:
    """The first member of a party carries its charge, as in the bills."""
    sums.revenue_micros += sum(charges)
    for members, charge in zip(grouped.members, charges, strict=True):
        _of(sums, bidders[members[0]]).charged_micros += charge


def _reward(sums: TermsSums, scored: CandidatesScored, bidders: Sequence[Bidder], allocation: Allocation) -> None:
    for bidder in bidders:
        reward = float(np.array(scored.rewards_micros[bidder.advertiser_id]) @ allocation.pi)
        own = _of(sums, bidder)
        own.auctions += 1
        own.reward_micros += reward
        sums.reward_micros += reward
        sums.welfare_micros += reward


def _of(sums: TermsSums, bidder: Bidder) -> AdvertiserSums:
    own = sums.advertisers.setdefault(bidder.advertiser_id, AdvertiserSums())
    own.name = bidder.name
    return own
