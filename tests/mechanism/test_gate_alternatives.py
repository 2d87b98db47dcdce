"""What does not work instead of the gate, and where the gate itself ends: each with a lie that pays."""

import numpy as np
import pytest

from tests.mechanism.gates import (
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
def test_floors_and_caps_on_the_charge_reward_lies(rule: Rule, limit: float, gain: float) -> None:
    assert largest_gain(rule, ALONE, limit, np.random.default_rng(SEED)) > gain
    # while the fee gate at the same limit does not
    assert largest_gain(exact_gate, ALONE, limit, np.random.default_rng(SEED)) <= TRUTHFUL


#: Two advertisers who want different things.
RIVALS = auction([600.0, -400.0, 2_600.0], [200.0, 900.0, -3_000.0])


@pytest.mark.parametrize("absent_gets_the_reply", [False, True])
def test_gates_that_look_at_one_advertiser_each_reward_lies(absent_gets_the_reply: bool) -> None:
    rng = np.random.default_rng(SEED)

    gain = largest_gain(naive_gate, RIVALS, 100.0, rng, absent_gets_the_reply=absent_gets_the_reply)

    assert gain > 1_000.0


def test_the_gate_of_sets_does_not() -> None:
    assert largest_gain(exact_gate, RIVALS, 100.0, np.random.default_rng(SEED)) <= TRUTHFUL


def test_with_one_advertiser_the_naive_gate_is_the_gate() -> None:
    for fee in (50.0, 150.0, 240.0, 245.0, 300.0):
        (naive, charged, _), (exact, charges, _) = naive_gate(ALONE, fee), exact_gate(ALONE, fee)
        assert naive.tolist() == exact.tolist() == [fee <= 242.2]
        assert charged == pytest.approx(charges, abs=1e-9)


def test_who_is_left_out_and_values_the_reply_all_the_same_can_gain_by_a_lie() -> None:
    """The limit of the theorem: absence is worth the advert-free reply to it, not the reply that the others bought."""
    rng = np.random.default_rng(SEED)

    assert largest_gain(exact_gate, RIVALS, 100.0, rng, absent_gets_the_reply=True) > 100.0


def test_who_is_in_would_sometimes_rather_ride_free() -> None:
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
