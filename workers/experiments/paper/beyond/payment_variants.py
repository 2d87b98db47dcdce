"""The charge by the law of the reply (offset) against that by the drawn reply (`outcome`): the same on average, but the
second varies from draw to draw and is below zero for some.
"""

from collections.abc import Sequence

import numpy as np

from workers.experiments.paper.beyond import CLAIM, ROUNDING
from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, above_zero, only
from workers.experiments.paper.market import Names
from workers.experiments.paper.statistics import mean
from workers.mechanism.allocation import Floats, Numbers
from workers.mechanism.payments import offset

DIFFERENCE = "|mean of outcome − offset|, largest of all auctions"
OFFSET, DEVIATION, NEGATIVE = "offset", "standard deviation of outcome", "probability that outcome is below zero"


def run(evaluation: Evaluation) -> tuple[Row, ...]:
    """With all context-aware candidates."""
    size = evaluation.sizes[-1]
    found = evaluation.context_aware.measure(size, _by_advertiser)
    measured = {OFFSET: found[..., 0], DEVIATION: found[..., 2], NEGATIVE: found[..., 3]}
    largest = found[..., 1].max(keepdims=True)
    return (*(Row(name, size, mean(values)) for name, values in measured.items()), Row(DIFFERENCE, size, mean(largest)))


def _by_advertiser(numbers: Numbers, _: Names) -> Floats:
    """[N, 4] offset, and of the outcome charge over the draws: |mean − offset|, deviation, probability below zero."""
    allocation = numbers.solve()
    prices = offset(numbers, allocation, 0)
    likely = allocation.pi > 0
    pi = allocation.pi[likely]
    charges = numbers.tau * (allocation.log_pi - allocation.log_pi_without)[:, likely]
    means = charges @ pi
    deviations = np.sqrt((charges - means[:, None]) ** 2 @ pi)
    return np.stack([prices, np.abs(means - prices), deviations, (charges < 0) @ pi], axis=1)


def judge(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """Equal means, a spread, and charges below zero."""
    largest = only(rows, DIFFERENCE).value
    same = ClaimVerdict(
        CLAIM, "both charge the same on average", largest <= ROUNDING, f"largest difference {largest:.1e} nats"
    )
    return (
        same,
        above_zero(CLAIM, "outcome varies from draw to draw (standard deviation)", only(rows, DEVIATION)),
        above_zero(CLAIM, "outcome is below zero for some draws (probability)", only(rows, NEGATIVE), ""),
    )


FIGURE = FigureOf("payments", "Charges by the law of the reply and by the drawn one", "nats", __doc__, run, judge)
