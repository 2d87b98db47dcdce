"""What does not work instead of the gate, and where the gate itself ends: each with a lie that pays."""

import numpy as np
import pytest

from tests.experiments.gates import (
    Rule,
    advert_free,
    charge_at_least,
    charge_at_most,
    drop_above,
    drop_below,
    exact_gate,
    largest_gain,
    naive_gate,
    utility,
)
from workers.mechanism.allocation import Numbers

TAU = 1_000.0
SEED = 9
TRUTHFUL = 1e-9 * 30_000  # of the largest lie, micros


def auction(*rows: list[float]) -> Numbers:
    m = len(rows[0])
    return Numbers(np.zeros(m), np.zeros(m), np.array(rows, dtype=np.float64), TAU)


#: One advertiser, four candidates: its charge is 216.78 micros, joining brings it 242.20.
ALONE = auction([1_000.0, 400.0, -300.0, -900.0])


@pytest.mark.parametrize(
    ("rule", "limit", "gain"),
    [
        (drop_below, 250.0, 200.0),
        (charge_at_least, 250.0, 25.0),
        (charge_at_most, 200.0, 400.0),
        (drop_above, 200.0, 200.0),
    ],
)
def test_a_least_or_largest_charge_makes_a_misreport_pay(rule: Rule, limit: float, gain: float) -> None:
    assert largest_gain(rule, ALONE, limit, np.random.default_rng(SEED)) > gain
    # while the fee gate at the same limit does not
    assert largest_gain(exact_gate, ALONE, limit, np.random.default_rng(SEED)) <= TRUTHFUL


#: Two advertisers who want different things.
RIVALS = auction([600.0, -400.0, 2_600.0], [200.0, 900.0, -3_000.0])


@pytest.mark.parametrize("absent_gets_the_reply", [False, True])
def test_gates_that_decide_each_advertiser_separately_make_a_misreport_pay(absent_gets_the_reply: bool) -> None:
    rng = np.random.default_rng(SEED)

    gain = largest_gain(naive_gate, RIVALS, 100.0, rng, absent_gets_the_reply=absent_gets_the_reply)

    assert gain > 1_000.0


def test_the_gate_that_chooses_a_set_makes_no_misreport_pay() -> None:
    assert largest_gain(exact_gate, RIVALS, 100.0, np.random.default_rng(SEED)) <= TRUTHFUL


def test_with_one_advertiser_the_separate_gate_equals_the_gate_of_sets() -> None:
    for fee in (50.0, 150.0, 240.0, 245.0, 300.0):
        (naive, charged, _), (exact, charges, _) = naive_gate(ALONE, fee), exact_gate(ALONE, fee)
        assert naive.tolist() == exact.tolist() == [fee <= 242.2]
        assert charged == pytest.approx(charges, abs=1e-9)


def test_an_excluded_advertiser_that_values_the_others_reply_can_gain_by_a_misreport() -> None:
    """The limit of the theorem: absence is worth the advert-free reply to it, not the reply that the others bought."""
    rng = np.random.default_rng(SEED)

    assert largest_gain(exact_gate, RIVALS, 100.0, rng, absent_gets_the_reply=True) > 100.0


def test_an_admitted_advertiser_sometimes_prefers_to_be_a_free_rider() -> None:
    # Given two advertisers with the same wish
    wish = [1_000.0, 0.0, -1_000.0]
    both, fee = auction(wish, wish), 250.0

    # Then both are in: against the advert-free reply that is worth the fee
    present = utility(exact_gate, both, fee, 0, both.rewards[0])
    assert exact_gate(both, fee)[0].tolist() == [True, True]
    assert present > advert_free(both).pi @ both.rewards[0]
    # but each would have more of the reply that the other buys alone
    *_, alone = exact_gate(auction(wish), fee)
    assert alone.pi @ both.rewards[0] > present
