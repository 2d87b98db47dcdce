"""One to eight advertisers for the same question. More of them bring more reward and revenue, and each gets less: a
reply has room for so many, and the prompt of the context-aware model names them all.

The others are those of the next instances, mostly of the same subject. Candidates are drawn anew for each number.
"""

from collections.abc import Sequence

import numpy as np

from workers.experiments.paper.beyond import CLAIM
from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, above_zero, only
from workers.experiments.paper.market import Names
from workers.experiments.paper.statistics import mean
from workers.mechanism.allocation import Floats, Numbers
from workers.mechanism.payments import offset

MEASURED = ("revenue, nats", "reward, nats", "charge of each, nats", "gain of each, nats", "P(names somebody)", "ESS")
REVENUE, EACH = 0, 2
RISE = "revenue with the most − with one"
FALL = "charge of one alone − of each of the most"


def run(evaluation: Evaluation) -> tuple[Row, ...]:
    """Each of MEASURED by number of advertisers, and the differences that the claims are about."""
    size = evaluation.sizes[-1]
    found = {number: one.measure(size, _measured) for number, one in evaluation.crowds.items()}
    curves = [
        Row(name, size, mean(values[..., place]), number)
        for place, name in enumerate(MEASURED)
        for number, values in found.items()
    ]
    apart: Floats = found[max(found)] - found[min(found)]
    return (*curves, Row(RISE, size, mean(apart[..., REVENUE])), Row(FALL, size, mean(-apart[..., EACH])))


def _measured(numbers: Numbers, names: Names) -> tuple[float, ...]:
    """In the order of MEASURED; the gain is the expected reward less the charge and less that of not taking part."""
    allocation = numbers.solve()
    prices = offset(numbers, allocation, 0)
    rewards = numbers.rewards @ allocation.pi
    absent = (numbers.rewards * np.exp(allocation.log_pi_without)).sum(axis=1)
    return (
        float(prices.sum()),
        float(rewards.sum()),
        float(prices.mean()),
        float((rewards - prices - absent).mean()),
        float(allocation.pi @ np.logical_or.reduce(names)),
        allocation.effective_sample_size,
    )


def judge(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """More revenue in all, less from each."""
    return (
        above_zero(CLAIM, "the most advertisers bring more revenue than one", only(rows, RISE)),
        above_zero(CLAIM, "each of the most pays less than one alone", only(rows, FALL)),
    )


FIGURE = FigureOf(
    "competition", "From one to eight advertisers", "", __doc__, run, judge, x_label="advertisers N", panels=True
)
