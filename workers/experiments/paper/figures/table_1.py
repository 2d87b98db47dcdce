"""Tables 1 and EC.1. Replies of both proposals side by side, for the musical-instrument query with ten candidates.

Only the context-aware mechanism brings the advertisers into the reply.
"""

from collections.abc import Sequence

import numpy as np

from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, SideBySide, above_zero, only
from workers.experiments.paper.market import Auctions
from workers.experiments.paper.statistics import mean
from workers.mechanism.allocation import Floats

CANDIDATES = 10
GAP = "context_aware − reference"
MUSICAL_INSTRUMENT = 4  # the paper's question, by its place among the bundled instances
SHOWN = 5  # seeds whose replies are printed
DRAWS = 12  # seed of the draws


def _names_somebody(auctions: Auctions, size: int) -> Floats:
    """[Q, S] probability that the returned reply names an advertiser."""
    queries, seeds = auctions.log_q.shape[:2]
    named = np.logical_or.reduce(auctions.names[..., :size], axis=2)
    probabilities = [
        [auctions.numbers(query, seed, size).solve().pi @ named[query, seed] for seed in range(seeds)]
        for query in range(queries)
    ]
    return np.array(probabilities)


def replies(evaluation: Evaluation) -> tuple[SideBySide, ...]:
    """What was returned to the paper's question, or to the last one where fewer are there; a reply for each seed."""
    size = min(CANDIDATES, evaluation.sizes[-1])
    query = min(MUSICAL_INSTRUMENT, len(evaluation.context_aware.questions) - 1)
    question = evaluation.context_aware.questions[query]
    seeds = range(min(SHOWN, evaluation.context_aware.log_q.shape[1]))
    both = evaluation.by_proposal.values()
    return tuple(SideBySide(question, seed, *(_returned(one, query, seed, size) for one in both)) for seed in seeds)


def _returned(auctions: Auctions, query: int, seed: int, size: int) -> str:
    """The reply that the law draws, with public randomness: the same again from the same samples."""
    pi = auctions.numbers(query, seed, size).solve().pi
    return str(auctions.texts[query, seed, np.random.default_rng([DRAWS, seed]).choice(size, p=pi)])


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


FIGURE = FigureOf(
    "table 1", "Probability that the returned reply names an advertiser", "", __doc__, run, judge, replies=replies
)
