"""The three payment rules: by hand, on average, and which of them may be billed."""

from dataclasses import replace
from math import log
from typing import get_args

import numpy as np
import pytest

from schemas.auction import PaymentRule
from tests.support.builders import make_scored, make_settled
from workers.mechanism.allocation import Numbers
from workers.mechanism.payments import RULES, NotBillable, billable, no_offset, offset, outcome, whole_micros
from workers.truthfulness.rule import in_expectation

TAU = 1_000.0

#: Two candidates of the reference model itself, w = (0, 0); an advertiser to whom the first is worth τ·ln 3 micros.
#: S = (ln 3, 0), exp(S) = (3, 1): π = (3/4, 1/4), log Σ exp(S) = ln 4. Without it S = (0, 0): π₋ = (1/2, 1/2), ln 2.
ALONE = Numbers(np.full(2, -1.0), np.full(2, -1.0), np.array([[TAU * log(3), 0.0]]), TAU)

#: The same with a second advertiser to whom every reply is worth 500 micros: π and both π₋ᵢ stay as they are.
#: S = (ln 3 + 1/2, 1/2): log Σ exp(S) = ln 4 + 1/2.
INDIFFERENT = replace(ALONE, rewards=np.array([[TAU * log(3), 0.0], [500.0, 500.0]]))


def test_the_offset_rules_price_worked_out_by_hand() -> None:
    # p = τ·(3/4·ln((3/4)/(1/2)) + 1/4·ln((1/4)/(1/2))) = τ·(3/4·ln 1.5 − 1/4·ln 2) = 304.10 − 173.29 = 130.81
    assert offset(ALONE, ALONE.solve(), 0) == pytest.approx([130.812035941137], abs=1e-9)
    # whichever reply is drawn
    assert offset(ALONE, ALONE.solve(), 1).tolist() == offset(ALONE, ALONE.solve(), 0).tolist()
    # and the second advertiser pays nothing, and changes nothing
    assert offset(INDIFFERENT, INDIFFERENT.solve(), 0) == pytest.approx([130.812035941137, 0.0], abs=1e-9)


def test_the_no_offset_rules_price_worked_out_by_hand() -> None:
    # π·r = 3/4·τ·ln 3 = 823.96; τ·log Σ exp(S) = τ·ln 4 = 1386.29; p = −562.34: the advertiser is paid
    assert no_offset(ALONE, ALONE.solve(), 0) == pytest.approx([-562.335144618808], abs=1e-9)
    # What the offset adds is τ·log Σ exp(S − r/τ) = τ·ln 2 = 693.15, and −562.34 + 693.15 = 130.81
    assert no_offset(ALONE, ALONE.solve(), 0) + TAU * log(2) == pytest.approx([130.812035941137], abs=1e-9)


def test_without_the_offset_an_indifferent_rival_moves_the_price() -> None:
    prices = no_offset(INDIFFERENT, INDIFFERENT.solve(), 0)

    # First: 823.96 − τ·(ln 4 + 1/2) = 823.96 − 1886.29 = −1062.34, 500 less than alone
    # second: π·r = 500, 500 − 1886.29 = −1386.29
    assert prices == pytest.approx([-1062.335144618808, -1386.294361119891], abs=1e-9)


def test_the_outcome_rules_price_worked_out_by_hand() -> None:
    # The first reply became more likely: τ·ln((3/4)/(1/2)) = τ·ln 1.5 = 405.47 is due for it
    assert outcome(ALONE, ALONE.solve(), 0) == pytest.approx([405.465108108164], abs=1e-9)
    # the second less: τ·ln((1/4)/(1/2)) = −τ·ln 2, the advertiser is paid 693.15 for it
    assert outcome(ALONE, ALONE.solve(), 1) == pytest.approx([-693.147180559945], abs=1e-9)
    # on average 3/4·405.47 − 1/4·693.15 = 304.10 − 173.29 = 130.81: the offset's price
    assert in_expectation("outcome")(ALONE).prices == pytest.approx([130.812035941137], abs=1e-9)
    # and nothing from an advertiser that changes nothing, whichever is drawn
    assert outcome(INDIFFERENT, INDIFFERENT.solve(), 1) == pytest.approx([-693.147180559945, 0.0], abs=1e-9)


def test_candidates_impossible_under_the_reference_model_do_not_enter_a_price() -> None:
    # Given a third candidate that the reference model cannot say, and a fortune for it
    numbers = Numbers(np.full(3, -1.0), np.array([-1.0, -1.0, -np.inf]), np.array([[TAU * log(3), 0.0, 1e9]]), TAU)

    assert offset(numbers, numbers.solve(), 0) == pytest.approx([130.812035941137], abs=1e-9)
    assert no_offset(numbers, numbers.solve(), 0) == pytest.approx([-562.335144618808], abs=1e-9)
    assert outcome(numbers, numbers.solve(), 0) == pytest.approx([405.465108108164], abs=1e-9)


def test_money_is_rounded_half_to_even_below_zero_too() -> None:
    assert whole_micros(np.array([0.5, 1.5, 2.5, -0.5, -1.5, 2.5000001])) == (0, 2, 2, 0, -2, 3)
    assert all(type(charge) is int for charge in whole_micros(np.array([0.5, 1e14])))


def test_exactly_the_billable_rules_may_be_configured() -> None:
    assert set(get_args(PaymentRule)) == {rule.name for rule in RULES.values() if rule.billable}
    assert {name: rule.name for name, rule in RULES.items()} == {name: name for name in RULES}


@pytest.mark.parametrize("name", ["no_offset", "outcome", "second_price"])
def test_a_rule_for_experiments_is_not_billed(name: str) -> None:
    with pytest.raises(NotBillable, match=name):
        billable(name)


def test_a_bill_states_the_version_of_the_rule_in_the_table() -> None:
    _, bills = make_settled(make_scored())

    assert {(bill.data.payment_rule, bill.data.payment_rule_version) for bill in bills} == {
        ("offset", RULES["offset"].version)
    }
