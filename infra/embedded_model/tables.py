"""Cells and rows of the tables: means with standard errors clustered by question or name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def mean_and_error(values: ArrayLike, clusters: Sequence[str]) -> tuple[float, float]:
    """Mean of ``values`` [K] and its standard error; values of one cluster may depend on each other."""
    array = np.asarray(values, dtype=float)
    assert array.shape == (len(clusters),)
    mean = float(array.mean())
    sums: dict[str, float] = {}
    for value, cluster in zip(array, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + float(value) - mean
    groups = len(sums)
    spread = sum(v * v for v in sums.values()) * groups / max(1, groups - 1)
    return mean, float(np.sqrt(spread)) / len(array)


def cell(values: ArrayLike, clusters: Sequence[str], digits: int = 2) -> str:
    """``mean (standard error)``."""
    mean, error = mean_and_error(values, clusters)
    return f"{mean:.{digits}f} ({error:.{digits}f})"


def row(cells: Iterable[object]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def head(titles: Sequence[str]) -> str:
    """The first two lines of a Markdown table."""
    return f"{row(titles)}\n{'|---' * len(titles)}|"
