"""Other ways to sell the same candidates, each as a rule whose incentive gap is searched like the product's own.

    ours                    softmax allocation, p_i = τ·KL(π ‖ π₋ᵢ)
    argmax_clarke           the candidate with the largest total reward, Clarke pivot payments
    softmax_first_price     softmax allocation, p_i = π·r_i
    softmax_argmax_clarke   softmax allocation, the Clarke pivots of the argmax rule: payments of another allocation
    winner_takes_all        the best scalar bid has the reply to itself, drawn by its reward alone; second-price payment
    uniform                 any candidate alike, nobody pays

What is compared on each auction: the expected total reward, revenue, the divergence from the reference model on the
candidates, KL(π ‖ softmax(log π_ref − log q)), that from the law which weighs rewards against it best, KL(π ‖
softmax(S)), and the incentive gap, the most that a misreport was found to gain. Micros, with τ and the values as given.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from workers.experiments.paper.market import divergence, kl
from workers.mechanism.allocation import Allocation, Floats, Numbers
from workers.mechanism.payments import whole_micros
from workers.truthfulness.misreports import find_misreport
from workers.truthfulness.rule import Priced, Rule, as_billed, with_report

POINTS, PIECES = 8, 8  # of the quadrature


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """One rule on one auction, when everybody is honest; micros but for the divergences, which are in nats."""

    reward: float
    revenue: float
    divergence: float
    from_optimal: float
    incentive_gap: float  # of the advertiser that could gain most


def outcome(rule: Rule, numbers: Numbers, rng: np.random.Generator) -> RuleOutcome:
    """`rule` on one auction, and the best misreport that was found against it."""
    priced = rule(numbers)
    pi = priced.allocation.pi
    gaps = (find_misreport(numbers, one, rule, rng).gain_micros for one in range(len(numbers.rewards)))
    return RuleOutcome(
        float((numbers.rewards @ pi).sum()),
        float(priced.prices.sum()),
        divergence(numbers, priced.allocation),
        kl(priced.allocation, numbers.solve()),
        max(gaps, default=0.0),
    )


def outcomes(rule: Rule, auctions: Iterable[Numbers], seed: int) -> list[RuleOutcome]:
    """`rule` on each auction; every rule's search draws the same random numbers in the same auction."""
    return [outcome(rule, numbers, np.random.default_rng([seed, place])) for place, numbers in enumerate(auctions)]


def argmax_clarke(numbers: Numbers) -> Priced:
    """The candidate of the largest total reward; each pays what the others lose by its presence."""
    total = np.add.reduce(numbers.rewards)
    chosen = int(total.argmax())
    return _priced(_certain(numbers, chosen), _pivots(numbers, chosen))


def softmax_first_price(numbers: Numbers) -> Priced:
    """The product's allocation; each pays its expected reward, as it reports it."""
    allocation = numbers.solve()
    return _priced(allocation, numbers.rewards @ allocation.pi)


def softmax_argmax_clarke(numbers: Numbers) -> Priced:
    """The product's allocation with payments that belong to another one."""
    return _priced(numbers.solve(), _pivots(numbers, int(np.add.reduce(numbers.rewards).argmax())))


def winner_takes_all(numbers: Numbers) -> Priced:
    """Advertiser i's own reply is worth b_i to it, above the advert-free one's; the largest b_i pays the second."""
    alone = [replace(numbers, rewards=numbers.rewards[[one]]).solve() for one in range(len(numbers.rewards))]
    advert_free = replace(numbers, rewards=numbers.rewards[:0]).solve().pi
    bids = np.array([row @ (one.pi - advert_free) for row, one in zip(numbers.rewards, alone, strict=True)])
    winner = int(bids.argmax())
    prices = _nothing(numbers)
    prices[winner] = max(np.delete(bids, winner), default=0.0)
    return _priced(_for_everybody(numbers, alone[winner].log_pi), prices)


def scalar_myerson(numbers: Numbers) -> Priced:
    """p_i = x_i(1) − ∫₀¹ x_i(z) dz with x_i(z) = π(z·r_i)·r_i: what a truthful rule for v_i alone has to charge."""
    allocation = numbers.solve()
    areas = [_area(numbers, one) for one in range(len(numbers.rewards))]
    return _priced(allocation, numbers.rewards @ allocation.pi - np.array(areas))


def _area(numbers: Numbers, advertiser: int) -> float:
    """∫₀¹ π(z·r_i)·r_i dz, by composite Gauss-Legendre."""
    row = numbers.rewards[advertiser]
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    places = ((np.arange(PIECES)[:, None] + (nodes + 1) / 2) / PIECES).ravel()
    values = np.array([float(with_report(numbers, advertiser, z * row).solve().pi @ row) for z in places])
    return float(np.tile(weights, PIECES) @ values) / 2 / PIECES


def uniform(numbers: Numbers) -> Priced:
    """Whatever is said, the same: no reward, no revenue, nothing to gain."""
    even = np.full(len(numbers.log_q), -np.log(len(numbers.log_q)))
    return _priced(_for_everybody(numbers, even), _nothing(numbers))


def _pivots(numbers: Numbers, chosen: int) -> Floats:
    """[N] max_j of the others' rewards less theirs at the chosen one."""
    others = np.add.reduce(numbers.rewards) - numbers.rewards
    pivots: Floats = others.max(axis=1) - others[:, chosen]
    return pivots


def _certain(numbers: Numbers, chosen: int) -> Allocation:
    log_pi = np.full(len(numbers.log_q), -np.inf)
    log_pi[chosen] = 0.0
    return _for_everybody(numbers, log_pi)


def _for_everybody(numbers: Numbers, log_pi: Floats) -> Allocation:
    """The same law whoever is absent: such a rule's payments do not come from it."""
    return Allocation(log_pi, np.exp(log_pi), np.tile(log_pi, (len(numbers.rewards), 1)), _nothing(numbers))


def _nothing(numbers: Numbers) -> Floats:
    return np.zeros(len(numbers.rewards))


def _priced(allocation: Allocation, prices: Floats) -> Priced:
    return Priced(allocation, prices, whole_micros(prices))


BASELINES: dict[str, Rule] = {
    "ours": as_billed,
    "argmax_clarke": argmax_clarke,
    "softmax_first_price": softmax_first_price,
    "softmax_argmax_clarke": softmax_argmax_clarke,
    "winner_takes_all": winner_takes_all,
    "uniform": uniform,
}
