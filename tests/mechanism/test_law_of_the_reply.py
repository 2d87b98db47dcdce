"""What the reply's law tends to, on a model of three replies: every outcome of M draws is enumerated, none is sampled.

A wrong weight leaves each auction truthful (it does not depend on reports), so no property of money sees it. It
changes which law the reply follows: the target is π_ref·exp(r/τ)/Z, where only the density really sampled from leads.
"""

from collections.abc import Iterator
from itertools import combinations_with_replacement
from math import factorial, prod

import numpy as np
import pytest

from workers.mechanism.allocation import Floats, Numbers
from workers.truthfulness.rule import as_billed, with_candidates

TAU = 1_000.0
TEMPERATURE = 0.8
PI_REF = np.array([0.5, 0.3, 0.2])
RAW = np.array([0.2, 0.3, 0.5])  # the proposal's probabilities at temperature 1
SAMPLED = RAW ** (1.0 / TEMPERATURE) / (RAW ** (1.0 / TEMPERATURE)).sum()  # what the candidates are really drawn from
REWARDS = TAU * np.array([[1.0, 0.0, -0.5], [0.0, 0.7, 0.2]])
TARGET = PI_REF * np.exp(REWARDS.sum(axis=0) / TAU)
TARGET /= TARGET.sum()


def samples(candidates: int) -> Iterator[tuple[list[int], float]]:
    """Every multiset of that many replies and its probability: the order does not matter."""
    for drawn in combinations_with_replacement(range(len(SAMPLED)), candidates):
        counts = [drawn.count(reply) for reply in range(len(SAMPLED))]
        ways = factorial(candidates) // prod(factorial(count) for count in counts)
        yield list(drawn), ways * float(np.prod(SAMPLED**counts))


def law(log_q: Floats, candidates: int, *, unique: bool = False) -> Floats:
    """The exact distribution of the reply when that many candidates are drawn and weighed by `log_q`."""
    model, found = Numbers(log_q, np.log(PI_REF), REWARDS, TAU), np.zeros(len(PI_REF))
    for drawn, probability in samples(candidates):
        kept = sorted(set(drawn)) if unique else drawn
        np.add.at(found, kept, probability * as_billed(with_candidates(model, kept)).allocation.pi)
    return found


def total_variation(found: Floats) -> float:
    return float(np.abs(found - TARGET).sum()) / 2


def test_the_enumeration_counts_every_outcome_once() -> None:
    assert sum(probability for _, probability in samples(12)) == pytest.approx(1.0, abs=1e-12)
    assert law(np.log(SAMPLED), 1) == pytest.approx(SAMPLED, abs=1e-12)  # one candidate: nothing to choose from


def test_with_the_processed_log_probabilities_the_reply_follows_the_target_law() -> None:
    errors = [total_variation(law(np.log(SAMPLED), candidates)) for candidates in (1, 4, 16, 64)]

    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.3
    assert errors[-1] < 0.02  # about 1/M


@pytest.mark.parametrize(
    ("log_q", "unique"),
    [
        (np.log(RAW), False),  # raw log-probs
        (np.log(SAMPLED), True),  # duplicates dropped: then many draws do not help
    ],
)
def test_with_a_wrong_importance_weight_the_reply_follows_another_law(log_q: Floats, unique: bool) -> None:
    right, wrong = law(np.log(SAMPLED), 64), law(log_q, 64, unique=unique)

    assert total_variation(wrong) > 2.5 * total_variation(right)
    assert total_variation(wrong) > 0.03


def test_dividing_by_the_temperature_is_enough_only_because_one_normaliser_is_left_out() -> None:
    """For a model of one token per reply; with several tokens each position has a normaliser of its own."""
    assert law(np.log(RAW) / TEMPERATURE, 8) == pytest.approx(law(np.log(SAMPLED), 8), abs=1e-12)
