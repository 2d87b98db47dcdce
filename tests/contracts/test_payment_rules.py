"""What any payment rule must do: the rows of `workers.mechanism.payments.RULES`, each on random auctions."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from workers.mechanism.allocation import Numbers
from workers.mechanism.payments import RULES, charge_bound, whole_micros
from workers.truthfulness.properties import PROPERTIES
from workers.truthfulness.random_auctions import draw_auction
from workers.truthfulness.rule import in_expectation, spreads

AUCTIONS = 12


def auctions() -> Iterator[Numbers]:
    for number in range(AUCTIONS):
        yield draw_auction(np.random.default_rng([7, number]))


@pytest.mark.parametrize("name", RULES)
def test_a_rule_gives_one_finite_price_for_each_advertiser_whichever_candidate_is_drawn(name: str) -> None:
    for numbers in auctions():
        allocation = numbers.solve()
        for drawn in np.flatnonzero(allocation.pi).tolist():
            prices = RULES[name].price(numbers, allocation, drawn)
            assert prices.shape == (len(numbers.rewards),)
            assert np.isfinite(prices).all()


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_strategyproof_in_expectation(name: str) -> None:
    truthful, rule = PROPERTIES["truthful"], in_expectation(name)

    found = [
        truthful.check(numbers, rule, np.random.default_rng(number))
        for number, numbers in enumerate(auctions())
        if truthful.applies(numbers)
    ]

    assert [one for one in found if one.violated] == []


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.billable])
def test_a_rule_that_is_billed_charges_between_0_and_the_bound_reserved_in_advance(name: str) -> None:
    for numbers in auctions():
        charges = whole_micros(RULES[name].price(numbers, numbers.solve(), 0))
        tau = max(1, math.floor(numbers.tau))
        bounds = [charge_bound(0, math.ceil(spread), tau) for spread in spreads(numbers.rewards)]
        assert all(0 <= charge <= bound for charge, bound in zip(charges, bounds, strict=True))
