"""The baselines' rules on random auctions: which of them can be gamed, and what each earns."""

import numpy as np
import pytest

from workers.experiments.paper.baselines import BASELINES, RuleOutcome, argmax_clarke, outcomes, scalar_myerson, uniform
from workers.mechanism.allocation import Numbers
from workers.truthfulness.rule import as_billed

SEED = 7
AUCTIONS = 8
TAU = 1_000.0


def draw(rng: np.random.Generator) -> Numbers:
    """Two advertisers that want different ones of eight candidates."""
    logs = rng.normal(-20.0, 1.0, size=8)
    return Numbers(logs, logs + rng.normal(size=8), rng.normal(0.0, 2 * TAU, size=(2, 8)), TAU)


@pytest.fixture(scope="module")
def found() -> dict[str, list[RuleOutcome]]:
    rng = np.random.default_rng(SEED)
    auctions = [draw(rng) for _ in range(AUCTIONS)]
    return {name: outcomes(rule, auctions, SEED) for name, rule in BASELINES.items()}


@pytest.mark.parametrize("name", ["ours", "argmax_clarke", "uniform"])
def test_no_lie_was_found_to_gain_a_micro_against_a_truthful_rule(
    name: str, found: dict[str, list[RuleOutcome]]
) -> None:
    assert max(one.incentive_gap for one in found[name]) < 1e-6


@pytest.mark.parametrize("name", ["softmax_first_price", "softmax_argmax_clarke", "winner_takes_all"])
def test_lies_gain_against_payments_that_do_not_belong_to_the_allocation(
    name: str, found: dict[str, list[RuleOutcome]]
) -> None:
    assert all(one.incentive_gap > 1.0 for one in found[name])


def test_the_argmax_brings_the_most_reward_and_strays_furthest(found: dict[str, list[RuleOutcome]]) -> None:
    for ours, best, nobody in zip(*(found[name] for name in ("ours", "argmax_clarke", "uniform")), strict=True):
        assert best.reward >= ours.reward and best.divergence >= ours.divergence
        assert nobody.revenue == 0.0


def test_clarke_pivots_by_hand() -> None:
    # Given two advertisers, of which the first wins the reply that the second minds
    numbers = Numbers(np.zeros(2), np.zeros(2), np.array([[10.0, 0.0], [0.0, 4.0]]), 1.0)
    # Then the first pays what the second loses, and the second nothing
    priced = argmax_clarke(numbers)
    assert priced.allocation.pi.tolist() == [1.0, 0.0] and priced.prices.tolist() == [4.0, 0.0]
    assert uniform(numbers).allocation.pi.tolist() == [0.5, 0.5]


def test_myersons_payments_for_one_number_each_are_the_products() -> None:
    numbers = draw(np.random.default_rng(SEED))
    assert scalar_myerson(numbers).prices == pytest.approx(as_billed(numbers).prices, rel=1e-9)
