"""Figures EC.1a and EC.1b. What taking part is worth with and without the offset.

With context-aware candidates utility is very negative without the offset and positive with it; with the reference
model's candidates the offset helps and is not enough. The last is a statement about footnote 5's estimate of not
taking part: on the same candidates taking part is never worth less than nothing (N11 cannot hold there).
"""

from collections.abc import Callable, Sequence

from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, above_zero, below_zero, series
from workers.experiments.paper.market import Auctions
from workers.experiments.paper.statistics import mean

WITH, WITHOUT, SAME = "with the offset", "without the offset", "with the offset, same candidates"


def _run(auctions: Auctions, sizes: Sequence[int]) -> tuple[Row, ...]:
    rows: list[Row] = []
    for size in sizes:
        estimates = auctions.at(size)
        utilities = {
            WITH: estimates.reward - estimates.price,
            WITHOUT: estimates.reward - estimates.price_no_offset,
            SAME: estimates.reward_exact - estimates.price,
        }
        rows += [Row(name, size, mean(values.sum(axis=2))) for name, values in utilities.items()]
    return tuple(rows)


def _last(rows: Sequence[Row], name: str) -> Row:
    return max((row for row in rows if row.series == name), key=lambda row: row.candidates)


def judge_1a(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """N10 but for its R², which figure EC.2 has."""
    return (
        below_zero("N10", "context-aware, without the offset: utility is below zero", _last(rows, WITHOUT).measured),
        above_zero("N10", "context-aware, with the offset: utility is above zero", _last(rows, WITH).measured),
    )


def judge_1b(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """N11."""
    measured = series(rows, WITH)[_last(rows, WITH).candidates]
    says = "reference, with the offset: utility is not above zero (by footnote 5's estimate)"
    return (ClaimVerdict("N11", says, measured.high <= 0, f"{measured} nats"),)


def _of(proposal: str) -> Callable[[Evaluation], tuple[Row, ...]]:
    return lambda evaluation: _run(evaluation.by_proposal[proposal], evaluation.sizes)


FIGURE_1A = FigureOf(
    "EC.1a", "Total utility, context-aware candidates", "nats", __doc__, _of("context_aware"), judge_1a
)
FIGURE_1B = FigureOf(
    "EC.1b", "Total utility, the reference model's candidates", "nats", __doc__, _of("reference"), judge_1b
)
