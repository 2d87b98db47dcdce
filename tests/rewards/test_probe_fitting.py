"""Fitting a probe: what is linear is found, what is noise is not, and the judgement is on questions not seen."""

from typing import Any

import numpy as np
import pytest

from workers.rewards.probe_fitting import fit_probe

QUESTIONS, REPLIES, DIMENSIONS = 40, 10, 6
RNG = np.random.default_rng(7)
NUMBERS = np.repeat(np.arange(QUESTIONS), REPLIES)
EMBEDDINGS = RNG.normal(size=(len(NUMBERS), DIMENSIONS))
W = np.array([3.0, -2.0, 0.0, 0.5, 1.0, 0.0])


def test_fitting_recovers_a_linear_reward() -> None:
    fit = fit_probe(EMBEDDINGS, EMBEDDINGS @ W - 4.0, NUMBERS, penalty=1e-9)

    assert fit.w == pytest.approx(W, abs=1e-8)
    assert fit.b == pytest.approx(-4.0)
    assert (fit.r2, fit.r2_within) == (pytest.approx(1.0), pytest.approx(1.0))


def test_fitting_explains_no_noise() -> None:
    fit = fit_probe(EMBEDDINGS, RNG.normal(size=len(NUMBERS)), NUMBERS, penalty=1.0)

    assert fit.r2 < 0.1 and fit.r2_within < 0.1


def test_variance_between_questions_alone_does_not_count_as_explained() -> None:
    """The share of a reply depends on rewards up to a constant for each question."""
    of_question = RNG.normal(size=QUESTIONS)[NUMBERS]
    embeddings = np.column_stack([of_question, RNG.normal(size=len(NUMBERS))])

    fit = fit_probe(embeddings, 9.0 * of_question + RNG.normal(size=len(NUMBERS)), NUMBERS, penalty=1e-3)

    assert fit.r2 > 0.9
    assert abs(fit.r2_within) < 0.1


def test_the_fit_is_evaluated_on_whole_held_out_questions() -> None:
    """Rewards that only the last questions have cannot be learnt from the others."""
    late = NUMBERS >= QUESTIONS * 3 // 4
    rewards = np.where(late, EMBEDDINGS @ -W, EMBEDDINGS @ W)

    fit = fit_probe(EMBEDDINGS, rewards, NUMBERS, penalty=1e-9, held_out=0.25)

    assert fit.w == pytest.approx(W, abs=1e-8)
    assert fit.r2 < -1.0


def test_a_penalty_keeps_weights_small_and_leaves_the_mean() -> None:
    fit = fit_probe(EMBEDDINGS, EMBEDDINGS @ W + 100.0, NUMBERS, penalty=1e9)

    assert np.abs(fit.w).max() < 1e-3
    assert fit.b == pytest.approx(100.0, abs=1.0)


BAD: dict[str, Any] = {
    "too few rewards": (EMBEDDINGS, np.zeros(3), NUMBERS, 1.0),
    "too few numbers": (EMBEDDINGS, np.zeros(len(NUMBERS)), NUMBERS[:5], 1.0),
    "a vector": (EMBEDDINGS[:, 0], np.zeros(len(NUMBERS)), NUMBERS, 1.0),
    "NaN": (EMBEDDINGS, np.full(len(NUMBERS), np.nan), NUMBERS, 1.0),
    "no penalty": (EMBEDDINGS, np.zeros(len(NUMBERS)), NUMBERS, 0.0),
    "one question": (EMBEDDINGS, np.zeros(len(NUMBERS)), np.zeros(len(NUMBERS), int), 1.0),
}


@pytest.mark.parametrize(("embeddings", "rewards", "questions", "penalty"), BAD.values(), ids=BAD)
def test_data_that_cannot_be_fitted_is_refused(embeddings: Any, rewards: Any, questions: Any, penalty: float) -> None:
    with pytest.raises(ValueError, match=r"fit together|not finite|too few"):
        fit_probe(embeddings, rewards, questions, penalty=penalty)
