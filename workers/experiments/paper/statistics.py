"""Means, differences and regressions with intervals: what is resampled is the query, with all its seeds and bidders."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.mechanism.allocation import Floats

RESAMPLES = 2_000
RESAMPLING_SEED = 20_240_505
LEVEL = 0.95

Rows = NDArray[np.int64]  # queries, with repetition


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its 95 % percentile interval over resampled queries."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def bootstrap(statistic: Callable[[Rows], float], queries: int) -> Interval:
    """`statistic` of all queries, and its interval: it is called with RESAMPLES draws of `queries` rows."""
    rng = np.random.default_rng(RESAMPLING_SEED)
    drawn = rng.integers(queries, size=(RESAMPLES, queries))
    values = np.array([statistic(rows) for rows in drawn])
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(statistic(np.arange(queries))), float(low), float(high))


def mean(values: Floats) -> Interval:
    """The mean of `values` [Q, ...]; of a paired difference, give the difference."""
    by_query = values.reshape(len(values), -1).mean(axis=1)
    return bootstrap(lambda rows: float(by_query[rows].mean()), len(values))


@dataclass(frozen=True, slots=True)
class Line:
    """Least squares of y on x."""

    slope: float
    r_squared: float
    correlation: float


def fit(x: Floats, y: Floats) -> Line:
    """The line through all points of equal shape. A constant x or y has correlation 0."""
    x, y = x.ravel() - x.mean(), y.ravel() - y.mean()
    xx, yy, xy = x @ x, y @ y, x @ y
    slope = xy / xx if xx > 0 else 0.0
    correlation = xy / np.sqrt(xx * yy) if xx > 0 and yy > 0 else 0.0
    return Line(float(slope), float(correlation**2), float(correlation))


def correlation(x: Floats, y: Floats) -> Interval:
    """Pearson's of all points of x and y, both [Q, ...]."""
    return bootstrap(lambda rows: fit(x[rows], y[rows]).correlation, len(x))
