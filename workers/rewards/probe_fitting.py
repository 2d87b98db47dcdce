"""A linear probe fitted to exact rewards by ridge regression, and how well it does on questions it has not seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """w·e + b approximates the log-ratio, nats. R² is of questions held out: 1 is exact, 0 as good as a constant."""

    w: Floats  # [D]
    b: float
    r2: float
    r2_within: float  # among the replies to one question, which is all that an auction depends on


def fit_probe(
    embeddings: Floats, rewards_nats: Floats, questions: NDArray[np.int64], *, penalty: float, held_out: float = 0.25
) -> Fit:
    """Fit on a share of the questions and judge on the others.

    `embeddings` [K, D], `rewards_nats` [K] and the number of the `questions` [K] each reply answers; those with the
    highest numbers are held out, whole. ValueError: shapes differ, a number is not finite, or a part is left empty.
    """
    if embeddings.shape[:1] != rewards_nats.shape or rewards_nats.shape != questions.shape or embeddings.ndim != 2:
        raise ValueError(f"shapes {embeddings.shape}, {rewards_nats.shape} and {questions.shape} do not fit together")
    if not (np.isfinite(embeddings).all() and np.isfinite(rewards_nats).all() and penalty > 0):
        raise ValueError("a number is not finite, or the penalty not above 0")
    known = np.unique(questions)
    seen = questions < known[len(known) - max(1, round(held_out * len(known)))]
    if not seen.any():
        raise ValueError(f"{len(known)} questions are too few to hold {held_out:.0%} out")
    w, b = _ridge(embeddings[seen], rewards_nats[seen], penalty)
    predicted, truth = embeddings[~seen] @ w + b, rewards_nats[~seen]
    groups = questions[~seen]
    return Fit(w, b, _r2(predicted, truth - truth.mean(), truth), _r2_within(predicted, truth, groups))


def _ridge(embeddings: Floats, rewards: Floats, penalty: float) -> tuple[Floats, float]:
    """The least ‖rewards − E·w − b‖² + penalty·‖w‖²; b is not penalised."""
    centre, mean = embeddings.mean(axis=0), rewards.mean()
    inner = embeddings - centre
    w = np.linalg.solve(inner.T @ inner + penalty * np.eye(inner.shape[1]), inner.T @ (rewards - mean))
    return w, float(mean - centre @ w)


def _r2(predicted: Floats, deviation: Floats, truth: Floats) -> float:
    """1 − residual ÷ variation; 0 where nothing varies."""
    variation = float(deviation @ deviation)
    residual = truth - predicted
    return 1.0 - float(residual @ residual) / variation if variation else 0.0


def _r2_within(predicted: Floats, truth: Floats, groups: NDArray[np.int64]) -> float:
    centred, expected = _less_means(truth, groups), _less_means(predicted, groups)
    return _r2(expected, centred, centred)


def _less_means(values: Floats, groups: NDArray[np.int64]) -> Floats:
    _, places = np.unique(groups, return_inverse=True)
    return values - (np.bincount(places, values) / np.bincount(places))[places]
