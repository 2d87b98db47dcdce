"""What each advertiser pays: three payment rules behind one signature, of which one is billed.

Paper: section 5.3, (4), (EC.4); mechanism/README §3 and §4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from workers.mechanism.allocation import Allocation, Floats, Numbers

#: (numbers, allocation, index of the drawn candidate) -> prices [N], micros before rounding.
PaymentFunction: TypeAlias = Callable[[Numbers, Allocation, int], Floats]


class NotBillable(ValueError):
    """No bill may follow from this payment rule: it is unknown, or made for experiments only."""


@dataclass(frozen=True, slots=True)
class Payment:
    """One row of the rule table."""

    name: str  # in settings and events
    version: Literal[1]  # what a charge event may state; a rule that changes gets a new one, here and there
    billable: bool
    price: PaymentFunction


def offset(numbers: Numbers, allocation: Allocation, drawn: int) -> Floats:
    """[N] micros: p_i = τ·KL(π ‖ π₋ᵢ), the paper's (EC.4) with the offset C = −τ·lse(β₋ᵢ) of its section 5.3.

    Never negative, the same whichever reply is `drawn`; 0 for an advertiser that is indifferent between all possible
    candidates.
    """
    return numbers.tau * allocation.influence


def no_offset(numbers: Numbers, allocation: Allocation, drawn: int) -> Floats:
    """[N] micros: π·r_i − τ·lse(S), the paper's (EC.4) with C = 0: strategyproof, of either sign and any size.

    S holds the rewards as they are: a constant on top of one advertiser's lowers everybody else's price by itself.
    """
    scores = np.add.reduce(numbers.rewards) / numbers.tau + numbers.log_ref - numbers.log_q
    return np.asarray(numbers.rewards @ allocation.pi - numbers.tau * np.logaddexp.reduce(scores))


def outcome(numbers: Numbers, allocation: Allocation, drawn: int) -> Floats:
    """[N] micros: τ·log(π_j / π₋ᵢ,j) for the drawn j: the offset on average over draws, of either sign for one draw."""
    return np.asarray(numbers.tau * (allocation.log_pi[drawn] - allocation.log_pi_without[:, drawn]))


#: Every rule by its name.
RULES = {
    rule.name: rule
    for rule in (
        Payment("offset", 1, True, offset),
        Payment("no_offset", 1, False, no_offset),
        Payment("outcome", 1, False, outcome),
    )
}


def billable(name: str) -> Payment:
    """The rule of that name, if bills may follow from it; else NotBillable."""
    rule = RULES.get(name)
    if rule is None or not rule.billable:
        known = ", ".join(rule.name for rule in RULES.values() if rule.billable)
        raise NotBillable(f"payment rule {name!r} is not billed; rules that are: {known}")
    return rule


def whole_micros(prices: Floats) -> tuple[int, ...]:
    """[N] charges: `prices` [N] in micros, rounded once, half to even. The only place where money is rounded."""
    return tuple([round(price) for price in prices.tolist()])


def charge_bound(least: int, largest: int, tau: int) -> int:
    """The most an advertiser can be charged, micros: min(Δ, Δ²/8τ) with Δ = largest − least, rounded up.

    Its rewards lie in [`least`, `largest`], whole micros; `tau`: micros per nat. The bound holds before any reward is
    known, so it can be reserved in advance; mechanism/README §5 has the proof.
    """
    spread = largest - least
    return min(spread, -(-spread * spread // (8 * tau)))
