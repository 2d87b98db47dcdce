"""Figures 2a and 2b. With context-aware candidates revenue and the advertisers' total utility are above zero and rise.

Revenue is the sum of the prices with the offset, utility the normalised reward less the price.
"""

from collections.abc import Callable, Sequence

import numpy as np

from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, above_zero, only, series
from workers.experiments.paper.market import Estimates
from workers.experiments.paper.statistics import mean
from workers.mechanism.allocation import Floats

START = 2  # with one candidate nobody can be charged
RISE = "rise of context_aware from 2 candidates"

Of = Callable[[Estimates], Floats]  # [Q, S]


def revenue(estimates: Estimates) -> Floats:
    """[Q, S] nats: what all advertisers of an auction pay."""
    return np.asarray(estimates.price.sum(axis=2))


def utility(estimates: Estimates) -> Floats:
    """[Q, S] nats: what taking part is worth to all advertisers of an auction, by footnote 5 of the paper."""
    return np.asarray((estimates.reward - estimates.price).sum(axis=2))


def utility_plain(estimates: Estimates) -> Floats:
    """[Q, S] nats: the same where the brand-free candidates count alike."""
    return np.asarray((estimates.reward_plain - estimates.price).sum(axis=2))


def _run(evaluation: Evaluation, curves: dict[str, Of]) -> tuple[Row, ...]:
    rows = [
        Row(name + label, m, mean(of(auctions.at(m))))
        for name, auctions in evaluation.by_proposal.items()
        for label, of in curves.items()
        for m in evaluation.sizes
    ]
    last, of = evaluation.sizes[-1], curves[""]
    rise = of(evaluation.context_aware.at(last)) - of(evaluation.context_aware.at(START))
    return (*rows, Row(RISE, last, mean(rise)))


def run_2a(evaluation: Evaluation) -> tuple[Row, ...]:
    """Revenue by proposal and M."""
    return _run(evaluation, {"": revenue})


def run_2b(evaluation: Evaluation) -> tuple[Row, ...]:
    """Total utility by proposal, baseline and M."""
    return _run(evaluation, {"": utility, ", brand-free mean": utility_plain})


def _judge(what: str) -> Callable[[Sequence[Row]], tuple[ClaimVerdict, ...]]:
    def judge(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
        ours = series(rows, "context_aware")
        return (
            above_zero("N7", f"context-aware: {what} is above zero", ours[max(ours)]),
            above_zero("N7", f"context-aware: {what} rises with M", only(rows, RISE)),
        )

    return judge


FIGURE_2A = FigureOf("2a", "Revenue", "nats", __doc__, run_2a, _judge("revenue"))
FIGURE_2B = FigureOf("2b", "Total normalised utility", "nats", __doc__, run_2b, _judge("total utility"))
