"""Tables 1 and EC.1. Replies of both proposals side by side, for the musical-instrument query with ten candidates.

Only the context-aware mechanism brings the advertisers into the reply.
"""

from collections.abc import Sequence

import numpy as np

from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, above_zero, only
from workers.experiments.paper.market import Auctions
from workers.experiments.paper.statistics import mean
from workers.mechanism.allocation import Floats

CANDIDATES = 10
GAP = "context_aware − reference"


def _names_somebody(auctions: Auctions, size: int) -> Floats:
    """[Q, S] probability that the returned reply names an advertiser."""
    queries, seeds = auctions.log_q.shape[:2]
    named = np.logical_or.reduce(auctions.names[..., :size], axis=2)
    probabilities = [
        [auctions.numbers(query, seed, size).solve().pi @ named[query, seed] for seed in range(seeds)]
        for query in range(queries)
    ]
    return np.array(probabilities)


def run(evaluation: Evaluation) -> tuple[Row, ...]:
    """Over all queries, how often the returned reply names an advertiser."""
    size = min(CANDIDATES, evaluation.sizes[-1])
    ours, reference = (_names_somebody(one, size) for one in evaluation.by_proposal.values())
    measured = {"context_aware": ours, "reference": reference, GAP: ours - reference}
    return tuple(Row(name, size, mean(values)) for name, values in measured.items())


def judge(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """N12, over all queries instead of one."""
    says = "the context-aware mechanism's replies name an advertiser more often than the reference's"
    return (above_zero("N12", says, only(rows, GAP), ""),)


FIGURE = FigureOf("table 1", "Probability that the returned reply names an advertiser", "", __doc__, run, judge)
