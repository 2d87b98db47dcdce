"""Candidates of both proposals, half of each, weighed by the density of the mixture, ½·π_con + ½·π_ref.

The mixture covers what either misses, and its weights π_ref/q are at most 2: nothing that the reference model says can
get an unbounded one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.experiments.paper.beyond import CLAIM, ROUNDING
from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, above_zero, only
from workers.experiments.paper.market import Auctions
from workers.experiments.paper.statistics import mean

LARGEST = "largest log weight of the mixture − log 2"
OVER_REFERENCE = "mixture − reference"
OVER_CONTEXT = "mixture − context_aware"
PARTS = ("log_ref", "log_context", "rewards", "names")


def mixture_of(evaluation: Evaluation) -> Auctions:
    """By turns a context-aware and a reference candidate, as many in all as there are of each."""
    both = evaluation.context_aware, evaluation.reference
    log_ref, log_context, rewards, names = (_by_turns(*(getattr(one, part) for one in both)) for part in PARTS)
    return Auctions(np.logaddexp(log_context, log_ref) - np.log(2), log_ref, log_context, rewards, names)


def _by_turns(ours: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """[..., M] of two [..., M]."""
    count = ours.shape[-1]
    pairs = np.stack([ours, others], axis=-1)
    return pairs.reshape(*ours.shape[:-1], 2 * count)[..., :count]


def run(evaluation: Evaluation) -> tuple[Row, ...]:
    """The log-probability of the returned reply under the optimal law, by proposal and even M."""
    mixture = mixture_of(evaluation)
    proposals = {"mixture": mixture, **evaluation.by_proposal}
    sizes = [size for size in evaluation.sizes if size % 2 == 0]
    curves = [Row(name, m, mean(one.at(m).log_target)) for name, one in proposals.items() for m in sizes]
    mixed, ours, reference = (one.at(sizes[-1]).log_target for one in proposals.values())
    largest = np.full((1, 1), (mixture.log_ref - mixture.log_q).max() - np.log(2))
    differences = {OVER_REFERENCE: mixed - reference, OVER_CONTEXT: mixed - ours, LARGEST: largest}
    return (*curves, *(Row(name, sizes[-1], mean(values)) for name, values in differences.items()))


def judge(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """Bounded weights, and better than the reference's candidates alone."""
    largest = only(rows, LARGEST).value
    bounded = ClaimVerdict(
        CLAIM, "no weight of the mixture is above 2", largest <= ROUNDING, f"largest log weight − log 2: {largest:.3g}"
    )
    better = "the mixture's replies are more probable under the optimal law than the reference's"
    return (bounded, above_zero(CLAIM, better, only(rows, OVER_REFERENCE)))


FIGURE = FigureOf("mixture", "Log-probability of the returned reply, candidates mixed", "nats", __doc__, run, judge)
