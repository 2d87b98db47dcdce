"""Means, differences and regressions with intervals: what is resampled is the query, with all its seeds and bidders.

Every statistic here is a function of means over queries, so a resample is a row of weights, and all resamples are one
product of matrices.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np

from workers.mechanism.allocation import Floats

RESAMPLES = 2_000
RESAMPLING_SEED = 20_240_505
LEVEL = 0.95

Statistic: TypeAlias = Callable[[Floats], Floats]  # of means over queries [..., K], a number each [...]


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its 95 % percentile interval over resampled queries."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def bootstrap(statistic: Statistic, by_query: Floats) -> Interval:
    """`statistic` of the means of `by_query` [Q, K], and its interval over RESAMPLES draws of Q queries."""
    drawn = statistic(_weights(len(by_query)) @ by_query)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(statistic(by_query.mean(axis=0))), float(low), float(high))


@cache
def _weights(queries: int) -> Floats:
    """[RESAMPLES, Q] how often a query was drawn, over Q: each row sums to 1."""
    rng = np.random.default_rng(RESAMPLING_SEED)
    return rng.multinomial(queries, np.full(queries, 1 / queries), size=RESAMPLES) / queries


def mean(values: Floats) -> Interval:
    """The mean of `values` [Q, ...]; of a paired difference, give the difference."""
    return bootstrap(lambda means: means[..., 0], values.reshape(len(values), -1).mean(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Regression:
    """Least squares of y on x. A constant x or y has correlation 0."""

    slope: Floats  # [...]
    correlation: Floats  # [...] Pearson's

    @property
    def r_squared(self) -> Floats:
        """[...] Share of the variance of y that the line explains."""
        return self.correlation**2


def moments(x: Floats, y: Floats) -> Floats:
    """[Q, 5] by query, the means of x, y, x², y² and xy, both [Q, ...] and counted from their overall means."""
    x, y = ((one - one.mean()).reshape(len(one), -1) for one in (x, y))
    return np.stack([part.mean(axis=1) for part in (x, y, x * x, y * y, x * y)], axis=1)


def regression(means: Floats) -> Regression:
    """The line through the points whose `moments` have these means [..., 5]."""
    x, y, xx, yy, xy = np.moveaxis(means, -1, 0)
    across, up, both = xx - x * x, yy - y * y, xy - x * y
    return Regression(_ratio(both, across), _ratio(both, np.sqrt(np.maximum(across, 0) * np.maximum(up, 0))))


def fit(x: Floats, y: Floats) -> Regression:
    """The line through all points of x and y, of equal shape; its numbers have no axis."""
    return regression(moments(x[None], y[None])[0])


def correlation(x: Floats, y: Floats) -> Interval:
    """Pearson's of all points of x and y, both [Q, ...]."""
    return bootstrap(lambda means: regression(means).correlation, moments(x, y))


def _ratio(above: Floats, below: Floats) -> Floats:
    """0 where `below` is."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
