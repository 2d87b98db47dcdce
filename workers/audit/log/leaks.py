"""Whether memory and descriptors of a process stay flat: a robust slope over its samples.

A process is flat if, over the last 80 % of its samples, the Theil-Sen slope (the median of the slopes between all
pairs) times the duration is below 10 % of the median, or below 16 MiB where that is more; for descriptors below 8.
Fewer than 10 samples, or less than two minutes, say nothing: until then buffers fill and caches are made. A process
that was started again is another process: give it another name. Of long series every k-th sample is taken, so that at
most 200 are compared with each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

MOST_SAMPLES = 200
LEAST_SAMPLES = 10
LEAST_DURATION_S = 120.0
WARM_UP = 0.2  # of the samples
MEMORY_SHARE, MEMORY_MIB = 0.10, 16.0
DESCRIPTORS = 8.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a process."""

    t_s: float
    rss_mib: float
    fds: float


def is_long_enough(samples: Sequence[Sample]) -> bool:
    return len(samples) >= LEAST_SAMPLES and samples[-1].t_s - samples[0].t_s >= LEAST_DURATION_S


def growth(samples: Sequence[Sample]) -> list[str]:
    """What grows, in a sentence each; the samples are in the order of time."""
    judged = samples[int(len(samples) * WARM_UP) :]
    judged = judged[:: -(-len(judged) // MOST_SAMPLES)]
    duration_s = judged[-1].t_s - judged[0].t_s
    memory = _slope([(one.t_s, one.rss_mib) for one in judged]) * duration_s
    descriptors = _slope([(one.t_s, one.fds) for one in judged]) * duration_s
    allowed = max(MEMORY_SHARE * median([one.rss_mib for one in judged]), MEMORY_MIB)
    found = []
    if memory >= allowed:
        found.append(f"memory grows by {memory:.0f} MiB in {duration_s:.0f} s; {allowed:.0f} are allowed")
    if descriptors >= DESCRIPTORS:
        found.append(f"descriptors grow by {descriptors:.0f} in {duration_s:.0f} s; fewer than {DESCRIPTORS:.0f} may")
    return found


def _slope(points: Sequence[tuple[float, float]]) -> float:
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0]]
    return median(slopes) if slopes else 0.0
