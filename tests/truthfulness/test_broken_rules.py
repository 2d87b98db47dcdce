"""A deliberately broken rule is caught by the property named for it, on auctions where the product's rule passes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from workers.mechanism.allocation import Floats, Numbers
from workers.mechanism.payments import whole_micros
from workers.truthfulness.properties import PROPERTIES, violations
from workers.truthfulness.random_auctions import TWISTS, Shape, fill
from workers.truthfulness.rule import Priced, Rule, as_billed, in_expectation

TAU = 1_000.0


def auction(number: int) -> Numbers:
    """Two or three advertisers and five candidates, bids of about half a nat, the first bid much smaller."""
    rng = np.random.default_rng(number)
    twists = [] if number % 2 else [TWISTS["duplicates"]]
    numbers = fill(Shape(5, 2 + number % 2, TAU, 0.5), twists, rng)
    return replace(numbers, rewards=numbers.rewards * np.array([[0.04], [1.0], [1.0]])[: len(numbers.rewards)])


def repriced(change: Callable[[Floats], Floats]) -> Rule:
    """The product's allocation at other prices."""

    def rule(numbers: Numbers) -> Priced:
        prices = change(as_billed(numbers).prices)
        return Priced(numbers.solve(), prices, whole_micros(prices))

    return rule


def rounded_up(numbers: Numbers) -> Priced:
    """A fraction of a micro counts as a whole one."""
    priced = as_billed(numbers)
    return replace(priced, charges=tuple(int(charge) for charge in np.ceil(priced.prices)))


def first_price(numbers: Numbers) -> Priced:
    """Everybody pays what the reply is worth to it."""
    prices = (numbers.rewards - numbers.rewards.min(axis=1, keepdims=True)) @ numbers.solve().pi
    return Priced(numbers.solve(), prices, whole_micros(prices))


def raw_log_probs(numbers: Numbers) -> Priced:
    """Weighs by the density at temperature 1 candidates that were sampled at 0.8."""
    return as_billed(replace(numbers, log_q=0.8 * numbers.log_q))


def missing_as_zero(numbers: Numbers) -> Priced:
    """A reward that is missing counts as 0, so that its advertiser stays in the auction."""
    return as_billed(replace(numbers, rewards=np.nan_to_num(numbers.rewards)))


def duplicates_dropped(numbers: Numbers) -> Priced:
    """Lists the same reply once only, the other copies get nothing."""
    columns = np.vstack([numbers.log_q, numbers.log_ref, numbers.rewards])
    _, first = np.unique(columns, axis=1, return_index=True)
    log_ref = np.full(len(numbers.log_q), -np.inf)
    log_ref[first] = numbers.log_ref[first]
    return as_billed(replace(numbers, log_ref=log_ref))


def first_listed_favoured(numbers: Numbers) -> Priced:
    """The candidate that arrived first gets a tenth of a nat."""
    log_ref = numbers.log_ref.copy()
    log_ref[0] += 0.1
    return as_billed(replace(numbers, log_ref=log_ref))


def not_normalised(numbers: Numbers) -> Priced:
    """Probabilities that miss a billionth."""
    priced = as_billed(numbers)
    return replace(priced, allocation=replace(priced.allocation, pi=priced.allocation.pi * (1 - 1e-9)))


def stale_without(numbers: Numbers) -> Priced:
    """π₋ᵢ from the auction in which i still takes part."""
    priced = as_billed(numbers)
    still = np.tile(priced.allocation.log_pi, (len(numbers.rewards), 1))
    return replace(priced, allocation=replace(priced.allocation, log_pi_without=still))


BROKEN: dict[str, tuple[Rule, str]] = {
    "charge rounded up": (rounded_up, "rounding"),
    "a fraction of a micro is never given back": (rounded_up, "participation"),
    "floor under the charge": (repriced(lambda prices: np.maximum(prices, 40.0)), "truthful"),
    "cap on the charge": (repriced(lambda prices: np.minimum(prices, 25.0)), "truthful"),
    "first price": (first_price, "truthful"),
    "a charge at twice the price": (repriced(lambda prices: 2.0 * prices), "truthful"),
    "raw log-probs in place of processed ones": (raw_log_probs, "degenerate"),
    "missing reward as 0": (missing_as_zero, "missing reward"),
    "duplicates dropped": (duplicates_dropped, "duplicates"),
    "the first candidate is favoured": (first_listed_favoured, "order"),
    "π is not normalised": (not_normalised, "distribution"),
    "π₋ᵢ with i in it": (stale_without, "absence"),
    "no offset pays advertisers": (in_expectation("no_offset"), "no deficit"),
    "without the offset others' constants matter": (in_expectation("no_offset"), "shift"),
    "a ten-thousandth more than the price": (repriced(lambda prices: 1.0001 * prices), "identity"),
    "a ten-thousandth less than the price": (repriced(lambda prices: 0.9999 * prices), "lemma 1"),
    "ten times the price": (repriced(lambda prices: 10.0 * prices), "charge bound"),
    "a fee of a micro": (repriced(lambda prices: prices + 1.0), "almost IR"),
    "a fee that does not know the currency": (repriced(lambda prices: prices + 1.0), "scale"),
}


def test_every_property_has_a_rule_that_breaks_it() -> None:
    assert {name for _, name in BROKEN.values()} == set(PROPERTIES)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_caught_by_the_property_named_for_it(case: str) -> None:
    rule, name = BROKEN[case]
    check = PROPERTIES[name].check

    product = [check(auction(number), as_billed, np.random.default_rng(number)) for number in range(12)]
    broken = [check(auction(number), rule, np.random.default_rng(number)) for number in range(12)]

    assert [finding for finding in product if finding.violated] == []
    assert [finding for finding in broken if finding.violated], broken


def test_the_billed_rule_breaks_no_property_on_the_auctions_that_broken_rules_fail() -> None:
    for number in range(12):
        assert violations(auction(number), as_billed, np.random.default_rng(number)) == set()


def test_rounding_up_breaks_only_the_properties_that_count_fractions_of_a_micro() -> None:
    """It moves no price: the theorems before rounding stand, and with them the bound and truthfulness to a micro.

    "degenerate" because a price of 0 may carry float dust of 1e-13 micros, which becomes a whole one.
    """
    found = [violations(auction(number), rounded_up, np.random.default_rng(number)) for number in range(12)]

    assert set.union(*found) == {"rounding", "participation", "almost IR", "degenerate"}


def test_a_wrong_proposal_density_leaves_the_rule_strategyproof() -> None:
    """w is the same whatever anybody reports: a wrong one ruins the law of the reply, and no property of money."""
    found = [violations(auction(number), raw_log_probs, np.random.default_rng(number)) for number in range(12)]

    assert set.union(*found) == {"degenerate"}


@pytest.mark.parametrize("name", ["no_offset", "outcome"])
def test_the_payment_rules_for_experiments_are_strategyproof_in_expectation(name: str) -> None:
    for number in range(4):
        rng = np.random.default_rng(number)
        assert not PROPERTIES["truthful"].check(auction(number), in_expectation(name), rng).violated


def not_a_number(numbers: Numbers) -> Priced:
    """Prices that are NaN."""
    priced = as_billed(numbers)
    return replace(priced, prices=np.full_like(priced.prices, np.nan))


@pytest.mark.parametrize("name", sorted(set(PROPERTIES) - {"distribution", "absence", "missing reward"}))
def test_a_price_that_is_nan_violates_the_property(name: str) -> None:
    assert PROPERTIES[name].check(auction(0), not_a_number, np.random.default_rng(0)).violated
