"""A rule under test: what turns an auction's numbers into an allocation, prices and charges."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from workers.mechanism.allocation import Allocation, Floats, Numbers
from workers.mechanism.payments import RULES, offset, whole_micros


@dataclass(frozen=True, slots=True)
class Priced:
    """What a rule makes of an auction."""

    allocation: Allocation
    prices: Floats  # [N] micros before rounding
    charges: tuple[int, ...]  # [N] whole micros


Rule: TypeAlias = Callable[[Numbers], Priced]


def as_billed(numbers: Numbers) -> Priced:
    """The product's rule: allocation, offset, rounding, by the code that settles real auctions. InvalidAuction."""
    allocation = numbers.solve()
    prices = offset(numbers, allocation, 0)
    return Priced(allocation, prices, whole_micros(prices))


def in_expectation(name: str) -> Rule:
    """The payment rule `name` of the table, its price averaged over the draw. KeyError: there is none."""
    price = RULES[name].price

    def rule(numbers: Numbers) -> Priced:
        allocation = numbers.solve()
        likely = np.flatnonzero(allocation.pi)
        prices = sum(allocation.pi[drawn] * price(numbers, allocation, int(drawn)) for drawn in likely)
        return Priced(allocation, np.asarray(prices), whole_micros(np.asarray(prices)))

    return as_billed if name == "offset" else rule


def with_report(numbers: Numbers, advertiser: int, report: Floats) -> Numbers:
    """The same auction in which `advertiser` (its row) reports `report` [M], micros."""
    rewards = numbers.rewards.copy()
    rewards[advertiser] = report
    return replace(numbers, rewards=rewards)


def without(numbers: Numbers, advertiser: int) -> Numbers:
    """The same auction held without `advertiser` (its row)."""
    return replace(numbers, rewards=np.delete(numbers.rewards, advertiser, axis=0))


def with_candidates(numbers: Numbers, indices: Floats | list[int]) -> Numbers:
    """The auction of the candidates `indices` [K], in this order; one that is named twice takes part twice."""
    j = np.asarray(indices, dtype=np.intp)
    return Numbers(numbers.log_q[j], numbers.log_ref[j], numbers.rewards[:, j], numbers.tau)


def spreads(rewards: Floats) -> Floats:
    """[N] Δ_i = max_j r_ij − min_j r_ij, micros. `rewards`: [N, M] micros."""
    return np.asarray(np.maximum.reduce(rewards, axis=1) - np.minimum.reduce(rewards, axis=1))
