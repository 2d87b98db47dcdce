"""A stuffed description. Truthfulness is about bids; what the context-aware model is told of somebody is no bid, and
shapes which replies there are to choose from.

The first advertiser of each question praises itself to the context-aware model and begs to be named; all else, its
rewards too, is as before, on the same questions and seeds. Utility is absolute: expected reward less charge.
"""

from collections.abc import Sequence

import numpy as np

from workers.experiments.paper.beyond import CLAIM
from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, only
from workers.experiments.paper.market import Auctions, Names
from workers.experiments.paper.statistics import mean
from workers.mechanism.allocation import Floats, Numbers
from workers.mechanism.payments import offset

MEASURED = ("utility", "charge", "P(named)", "the rival's utility")
GAIN = "stuffed − plain: {}"


def run(evaluation: Evaluation) -> tuple[Row, ...]:
    """Each of MEASURED with the plain description and with the stuffed one, and their paired difference."""
    size = evaluation.sizes[-1]
    if evaluation.stuffed is None:
        return ()
    changed = _of(evaluation.stuffed, size)
    plain = _of(evaluation.context_aware, size)[:, : changed.shape[1]]
    kinds = {"plain: {}": plain, "stuffed: {}": changed, GAIN: changed - plain}
    return tuple(
        Row(kind.format(name), size, mean(values[..., place]))
        for kind, values in kinds.items()
        for place, name in enumerate(MEASURED)
    )


def _of(auctions: Auctions, size: int) -> Floats:
    """[Q, S, MEASURED]"""
    return auctions.measure(size, _measured)


def _measured(numbers: Numbers, names: Names) -> tuple[float, ...]:
    """In the order of MEASURED, of the first advertiser."""
    allocation = numbers.solve()
    prices = offset(numbers, allocation, 0)
    own, rival = (numbers.rewards @ allocation.pi - prices)[:2]
    return float(own), float(prices[0]), float(allocation.pi @ names[0].astype(np.float64)), float(rival)


def judge(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """Whether stuffing pays, said either way."""
    gain = only(rows, GAIN.format("utility"))
    says = "no gain of a stuffed description is shown (utility; the theorem does not cover it)"
    return (ClaimVerdict(CLAIM, says, gain.low <= 0, f"{gain} nats"),)


FIGURE = FigureOf("stuffing", "What a stuffed description does, nats", "nats", __doc__, run, judge, grid=True)
