"""What lies bring: utility at the true rewards, after the lie, less that of the truth. None gains, whoever tells it.

`brand attack` punishes every reply that names a rival, by the whole spread of one's own rewards. Descriptions are no
bids: figure stuffing is about them.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from workers.experiments.paper.beyond import CLAIM, ROUNDING
from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, below_zero, only
from workers.experiments.paper.market import Names
from workers.experiments.paper.statistics import mean
from workers.mechanism.allocation import Floats, Numbers
from workers.mechanism.payments import offset
from workers.truthfulness.rule import with_report

Lie: TypeAlias = Callable[[Floats, Names], Floats]  # of rewards [M], and of which candidates name a rival [M]


def _scaled(factor: float) -> Lie:
    return lambda rewards, _: factor * rewards


def _brand_attack(rewards: Floats, names_a_rival: Names) -> Floats:
    return np.where(names_a_rival, rewards - np.ptp(rewards), rewards)


def _only_the_best(rewards: Floats, _: Names) -> Floats:
    return np.where(rewards == rewards.max(), rewards, rewards.min())


LIES: dict[str, Lie] = {
    "nothing": _scaled(0.0),
    "half": _scaled(0.5),
    "a tenth less": _scaled(0.9),
    "twice": _scaled(2.0),
    "four times": _scaled(4.0),
    "the opposite": _scaled(-1.0),
    "only the best reply": _only_the_best,
    "a brand attack": _brand_attack,
}
MOST = "{}: largest gain of all auctions"


def run(evaluation: Evaluation) -> tuple[Row, ...]:
    """By lie, the mean gain, and the largest of any advertiser in any auction."""
    size = evaluation.sizes[-1]
    gains = evaluation.context_aware.measure(size, _gains)
    means = [Row(name, size, mean(gains[..., place])) for place, name in enumerate(LIES)]
    most = [Row(MOST.format(name), size, mean(gains[..., place].max(keepdims=True))) for place, name in enumerate(LIES)]
    return (*means, *most)


def _gains(numbers: Numbers, names: Names) -> list[list[float]]:
    """[N, LIES]"""
    return [_gains_of(numbers, one, np.logical_or.reduce(np.delete(names, one, axis=0))) for one in range(len(names))]


def _gains_of(numbers: Numbers, advertiser: int, names_a_rival: Names) -> list[float]:
    truth = numbers.rewards[advertiser]
    honest = _utility(numbers, advertiser, truth)
    return [_utility(numbers, advertiser, lie(truth, names_a_rival)) - honest for lie in LIES.values()]


def _utility(numbers: Numbers, advertiser: int, report: Floats) -> float:
    """Of reporting `report` [M], at the true rewards that `numbers` has."""
    told = with_report(numbers, advertiser, report)
    allocation = told.solve()
    return float(numbers.rewards[advertiser] @ allocation.pi - offset(told, allocation, 0)[advertiser])


def judge(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """Never a gain, and for each lie on average a loss."""
    largest = max(only(rows, MOST.format(name)).value for name in LIES)
    never = ClaimVerdict(CLAIM, "no lie gains in any auction", largest <= ROUNDING, f"largest gain {largest:.1e} nats")
    return (never, *(below_zero(CLAIM, f"reporting {name} loses on average", only(rows, name)) for name in LIES))


FIGURE = FigureOf("misreports", "Utility of a lie less that of the truth", "nats", __doc__, run, judge)
