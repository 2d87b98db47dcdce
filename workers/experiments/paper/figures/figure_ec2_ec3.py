"""Figures EC.2 and EC.3. A line through utility against normalised reward of every advertiser in every auction.

With the offset it fits well (reference candidates: slope 1.00 and R² .96 in the paper), without it badly
(context-aware: R² almost 0; reference: slope .5, R² .19). Levels belong to the model; what is judged is the order.
"""

from collections.abc import Callable, Sequence

import numpy as np

from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Points, Row, above_zero, only
from workers.experiments.paper.market import Auctions
from workers.experiments.paper.statistics import Interval, Regression, bootstrap, moments, regression
from workers.mechanism.allocation import Floats

ALMOST = 0.05  # R² of "almost 0"; chosen before anything was measured
WITH, WITHOUT = "with the offset", "without the offset"
GAP = "R², with − without"


def _points(auctions: Auctions, size: int) -> dict[str, Points]:
    estimates = auctions.at(size)
    reward = estimates.reward
    return {WITH: (reward, reward - estimates.price), WITHOUT: (reward, reward - estimates.price_no_offset)}


def _run(auctions: Auctions, size: int) -> tuple[Row, ...]:
    panels = _points(auctions, size)
    rows = [
        Row(f"{part} {name}", size, _resampled(reward, utility, of))
        for name, (reward, utility) in panels.items()
        for part, of in (("slope", _slope), ("R²", _r_squared))
    ]

    def gap(means: Floats) -> Floats:
        return regression(means[..., :5]).r_squared - regression(means[..., 5:]).r_squared

    by_query = np.hstack([moments(reward, utility) for reward, utility in panels.values()])
    return (*rows, Row(GAP, size, bootstrap(gap, by_query)))


def _slope(line: Regression) -> Floats:
    return line.slope


def _r_squared(line: Regression) -> Floats:
    return line.r_squared


def _resampled(reward: Floats, utility: Floats, of: Callable[[Regression], Floats]) -> Interval:
    return bootstrap(lambda means: of(regression(means)), moments(reward, utility))


def judge_ec2(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """N10's R²."""
    bare = only(rows, f"R² {WITHOUT}")
    return (
        ClaimVerdict(
            "N10", f"context-aware, without the offset: R² is almost 0 (≤ {ALMOST})", bare.high <= ALMOST, str(bare)
        ),
        above_zero("N10", "context-aware: R² is higher with the offset", only(rows, GAP), ""),
    )


def judge_ec3(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """N9, by its order."""
    return (above_zero("N9", "reference: R² is higher with the offset", only(rows, GAP), ""),)


def _figure(
    number: str, title: str, proposal: str, judge: Callable[[Sequence[Row]], tuple[ClaimVerdict, ...]]
) -> FigureOf:
    def run(evaluation: Evaluation) -> tuple[Row, ...]:
        return _run(evaluation.by_proposal[proposal], evaluation.sizes[-1])

    def points(evaluation: Evaluation) -> dict[str, Points]:
        return _points(evaluation.by_proposal[proposal], evaluation.sizes[-1])

    return FigureOf(number, title, "", __doc__, run, judge, points)


FIGURE_EC2 = _figure("EC.2", "Utility against reward, context-aware candidates", "context_aware", judge_ec2)
FIGURE_EC3 = _figure("EC.3", "Utility against reward, reference candidates", "reference", judge_ec3)
