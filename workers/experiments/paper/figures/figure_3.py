"""Figure 3. With the offset an advertiser's utility follows its normalised reward: Pearson above .75 at every M.

Without the offset much less. With one candidate nothing is charged with the offset and the correlation is 1 by
definition, so M starts at 2. The gap is one of finite samples: with log-ratio rewards the offset tends to log M for
everybody, and the effective sample size beside it shows how far it has come.
"""

from collections.abc import Sequence

import numpy as np

from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, above_zero, series
from workers.experiments.paper.market import Estimates
from workers.experiments.paper.statistics import Interval, bootstrap, correlation, mean, moments, regression
from workers.mechanism.allocation import Floats

AT_LEAST = 0.75  # the paper's words
WITH, WITHOUT, GAP = "with the offset", "without the offset", "with − without"
EFFECTIVE = "effective sample size / M"


def run(evaluation: Evaluation) -> tuple[Row, ...]:
    """Correlations by M with context-aware candidates, and the effective sample size."""
    rows: list[Row] = []
    for size in evaluation.sizes:
        if size > 1:
            rows += _at(size, evaluation.context_aware.at(size))
    return tuple(rows)


def _at(size: int, estimates: Estimates) -> list[Row]:
    reward = estimates.reward
    billed, bare = reward - estimates.price, reward - estimates.price_no_offset
    return [
        Row(WITH, size, correlation(reward, billed)),
        Row(WITHOUT, size, correlation(reward, bare)),
        Row(GAP, size, _gap(reward, billed, bare)),
        Row(EFFECTIVE, size, mean(estimates.effective)),
    ]


def _gap(reward: Floats, billed: Floats, bare: Floats) -> Interval:
    def gap(means: Floats) -> Floats:
        return regression(means[..., :5]).correlation - regression(means[..., 5:]).correlation

    return bootstrap(gap, np.hstack([moments(reward, billed), moments(reward, bare)]))


def judge(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """N8: at the M where it holds least."""
    least = min(series(rows, WITH).values(), key=lambda one: one.low)
    above = Interval(*(np.array([least.value, least.low, least.high]) - AT_LEAST))
    narrowest = min(series(rows, GAP).values(), key=lambda one: one.low)
    return (
        above_zero(
            "N8", f"the correlation with the offset is above {AT_LEAST} at every M (least − {AT_LEAST})", above, ""
        ),
        above_zero("N8", "it is higher than without the offset at every M (narrowest gap)", narrowest, ""),
    )


FIGURE = FigureOf("3", "Pearson correlation of normalised reward and utility", "", __doc__, run, judge)
