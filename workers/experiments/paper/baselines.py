"""Other ways to sell the same candidates, each as a rule whose incentive gap is searched like the product's own.

    ours                    softmax allocation, p_i = τ·KL(π ‖ π₋ᵢ)
    argmax_clarke           the candidate with the largest total reward, Clarke pivot payments
    softmax_first_price     softmax allocation, p_i = π·r_i
    softmax_argmax_clarke   softmax allocation, the Clarke pivots of the argmax rule: payments of another allocation
    uniform                 any candidate alike, nobody pays

What is compared on each auction: the expected total reward, revenue, the divergence from the reference model on the
candidates, KL(π ‖ softmax(log π_ref − log q)), and the incentive gap, the most that a misreport was found to gain.
Micros, with τ and the values as given.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from workers.mechanism.allocation import Allocation, Floats, Numbers
from workers.mechanism.payments import whole_micros
from workers.truthfulness.misreports import find_misreport
from workers.truthfulness.rule import Priced, Rule, as_billed


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """One rule on one auction, when everybody is honest; micros but for the divergence, which is in nats."""

    reward: float
    revenue: float
    divergence: float
    incentive_gap: float  # of the advertiser that could gain most


def outcome(rule: Rule, numbers: Numbers, rng: np.random.Generator) -> RuleOutcome:
    """`rule` on one auction, and the best misreport that was found against it."""
    priced = rule(numbers)
    pi = priced.allocation.pi
    advert_free = replace(numbers, rewards=numbers.rewards[:0]).solve().log_pi
    likely = pi > 0
    gaps = (find_misreport(numbers, one, rule, rng).gain_micros for one in range(len(numbers.rewards)))
    return RuleOutcome(
        float((numbers.rewards @ pi).sum()),
        float(priced.prices.sum()),
        float(pi[likely] @ (np.log(pi[likely]) - advert_free[likely])),
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


def uniform(numbers: Numbers) -> Priced:
    """Whatever is said, the same: no reward, no revenue, nothing to gain."""
    count = len(numbers.log_q)
    even = np.full(count, 1.0 / count)
    everywhere = Allocation(np.log(even), even, np.tile(np.log(even), (len(numbers.rewards), 1)), _nothing(numbers))
    return _priced(everywhere, _nothing(numbers))


def _pivots(numbers: Numbers, chosen: int) -> Floats:
    """[N] max_j of the others' rewards less theirs at the chosen one."""
    others = np.add.reduce(numbers.rewards) - numbers.rewards
    pivots: Floats = others.max(axis=1) - others[:, chosen]
    return pivots


def _certain(numbers: Numbers, chosen: int) -> Allocation:
    pi = np.zeros(len(numbers.log_q))
    pi[chosen] = 1.0
    with np.errstate(divide="ignore"):
        log_pi = np.log(pi)
    return Allocation(log_pi, pi, np.tile(log_pi, (len(numbers.rewards), 1)), _nothing(numbers))


def _nothing(numbers: Numbers) -> Floats:
    return np.zeros(len(numbers.rewards))


def _priced(allocation: Allocation, prices: Floats) -> Priced:
    return Priced(allocation, prices, whole_micros(prices))


BASELINES: dict[str, Rule] = {
    "ours": as_billed,
    "argmax_clarke": argmax_clarke,
    "softmax_first_price": softmax_first_price,
    "softmax_argmax_clarke": softmax_argmax_clarke,
    "uniform": uniform,
}
