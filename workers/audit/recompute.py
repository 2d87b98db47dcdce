"""Odds and charges in float64 with a forward error bound that holds: the filter before `exact`.

Written from the paper's EC.4, p_i = π·r_i − τ·log Σ exp(S) + τ·log Σ exp(S − r_i/τ), with S = w + Σ_i δ_i and
w = log_ref − log_q. A constant in a party's rewards changes nothing, so δ_ij = (r_ij − r_i0)/τ.

The bound. u = 2⁻⁵³; every operation errs by a factor 1 + u, exp and log by 1 + 2u (one unit in the last place). `reach`
is max|w| + Σ_i max|δ_i|, above every partial sum of every score; the spread of δ_i is its largest minus its least.

* A score is a sum of P + 1 terms of relative error at most 2u, added one by one: |Ŝ − S| ≤ s := (P + 4)·u·reach.
* S − δ_i is one subtraction more: at most s + 4u·reach.
* log Σ exp is 1-Lipschitz in the largest change of a score. Its own arithmetic: with t = S − max S ≤ 0 the sum Z ≥ 1
  has terms e^t of relative error u|t| + 2u, where |t|·e^t ≤ 1/e; adding M of them errs by M·u; the logarithm by
  2u·log M ≤ 12u; adding max S by u·(reach + 6). Together at most s + (2M + 22)·u + u·reach.
* The mean of δ_i under π: weights of relative error η = s + 748u (|t| ≤ 746 where e^t is not 0) move a weighted mean by
  at most η/(1 − η)·spread, and never by more than the spread; products, two sums of M and a division by
  (2M + 6)·u·spread.
* D = mean − log Σ exp(S) + log Σ exp(S − δ_i): two additions more, at most u·(4·reach + 20).

p = τ·D. The sum is 2s + u·(4M + 64 + 12·reach) + that of the mean, 1 % on top for all products of two small terms; for
τ·D another 2u|p|. Underflow adds less than 1e-290. Nothing here rests on how the bids were made.
"""

from dataclasses import dataclass
from math import exp, fsum, log
from operator import mul, sub

from workers.audit.auction import LoggedAuction, LoggedParty, Row

UNIT = 2.0**-53
SECOND_ORDER = 1.01
UNDERFLOW = 1e-290


@dataclass(frozen=True, slots=True)
class Solved:
    """The auction of some parties: π [M], and for each party its mean δ, log Σ exp(S − δ), charge and error bounds."""

    scores: list[float]  # [M] nats
    shares: list[list[float]]  # [P][M] nats, 0 for the first candidate
    probabilities: list[float]  # [M]
    means: list[float]  # [P] nats
    log_sums_without: list[float]  # [P] nats
    charges: list[float]  # [P] micros before rounding
    bounds: list[float]  # [P] micros: |charge − exact| is at most this
    mean_bounds: list[float]  # [P] nats
    odds_bound: float  # relative error of a probability, with or without a party

    def odds_without(self, party: int, candidate: int) -> float:
        """π₋ᵢ of one candidate."""
        score = self.scores[candidate] - self.shares[party][candidate]
        return exp(min(0.0, score - self.log_sums_without[party]))

    def mean_without(self, party: int) -> float:
        """The party's mean δ under π₋ᵢ, nats."""
        row, log_sum = self.shares[party], self.log_sums_without[party]
        powers = [exp(score - share - log_sum) for score, share in zip(self.scores, row, strict=True)]
        weighed: float = sum(map(mul, powers, row))
        return weighed / sum(powers)


def solve(auction: LoggedAuction) -> Solved:
    """Recompute an auction that was held."""
    base = list(map(sub, auction.log_ref, auction.log_q))
    shares = [shares_of(party, auction.tau) for party in auction.parties]
    scores: list[float] = list(map(sum, zip(base, *shares, strict=True)))
    top = max(scores)
    powers = [exp(score - top) for score in scores]
    total = sum(powers)
    means = [sum(map(mul, powers, row)) / total for row in shares]
    without = [log_sum_exp(list(map(sub, scores, row))) for row in shares]
    log_sum = top + log(total)
    spread = reach(base, shares)
    score_bound = score_error(len(shares), spread)
    mean_bounds = [_mean_error(score_bound, len(base), max(row) - min(row)) for row in shares]
    charges = [auction.tau * (mean - log_sum + other) for mean, other in zip(means, without, strict=True)]
    fixed = 2 * score_bound + UNIT * (4 * len(base) + 64 + 12 * spread)
    bounds = [
        auction.tau * SECOND_ORDER * (fixed + bound) + 2 * UNIT * abs(charge) + UNDERFLOW
        for bound, charge in zip(mean_bounds, charges, strict=True)
    ]
    odds_bound = 2.1 * (score_bound + UNIT * (4 * spread + 760 + 2 * len(base)))
    return Solved(
        scores, shares, [power / total for power in powers], means, without, charges, bounds, mean_bounds, odds_bound
    )


def shares_of(party: LoggedParty, tau: int) -> list[float]:
    """[M] rewards from the first candidate's on, in nats; a group's sum is rounded once."""
    if len(party.rewards) == 1:
        (row,) = party.rewards
        first = row[0]
        return [(reward - first) / tau for reward in row]
    first_column = [-row[0] for row in party.rewards]
    return [fsum((*column, *first_column)) / tau for column in zip(*party.rewards, strict=True)]


def log_sum_exp(scores: list[float]) -> float:
    """log Σ exp(scores)."""
    top = max(scores)
    return top + log(sum([exp(score - top) for score in scores]))


def reach(base: Row, shares: list[list[float]]) -> float:
    """At least as large as every partial sum of every score, nats."""
    return max(max(base), -min(base)) + sum([max(max(row), -min(row)) for row in shares])


def score_error(parties: int, reach: float) -> float:
    """What a score may be off by, nats."""
    return (parties + 4) * UNIT * reach


def log_sum_error(parties: int, candidates: int, reach: float) -> float:
    """What log Σ exp of scores may be off by, nats."""
    return score_error(parties, reach) + UNIT * (2 * candidates + 22 + reach)


def _mean_error(score_bound: float, candidates: int, spread: float) -> float:
    moved = score_bound + 748 * UNIT
    factor = SECOND_ORDER * moved if moved < 1e-2 else min(1.0, 4 * moved)
    return (factor + (2 * candidates + 6) * UNIT) * spread
