"""What τ decides. Revenue is hump-shaped in τ: at a small one the argmax leaves nothing to pay for, at a large one bids
move nothing. The user's price is how far replies stray from the reference model's (KL), and how improbable they are
under it.

Reports are the true rewards at every τ, as truthful bids are. The same candidates are allocated again, so at a small τ,
where the effective sample size is near 1, more candidates would change the numbers.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from workers.experiments.paper.beyond import CLAIM
from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, above_zero, only
from workers.experiments.paper.market import Auctions, Names, divergence
from workers.experiments.paper.statistics import mean
from workers.mechanism.allocation import Floats, Numbers
from workers.mechanism.payments import offset

TAUS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # the paper's is 1
MEASURED = (
    "revenue, nats",
    "reward, nats",
    "KL, nats",
    "log π_ref, nats",
    "effective sample size",
    "P(names somebody)",
)
REVENUE, KL = 0, 2
OVER_SMALLEST = "revenue at its best τ − at the smallest"
OVER_LARGEST = "revenue at its best τ − at the largest"
STRAYS = "KL at the smallest τ − at the largest"


def run(evaluation: Evaluation) -> tuple[Row, ...]:
    """Each of MEASURED by τ with all context-aware candidates, and the differences that the claims are about."""
    size = evaluation.sizes[-1]
    by_tau = {tau: _at(evaluation.context_aware, size, tau) for tau in TAUS}
    curves = [
        Row(name, size, mean(values[..., place]), tau)
        for place, name in enumerate(MEASURED)
        for tau, values in by_tau.items()
    ]
    best, first, last = max(by_tau.values(), key=_revenue), by_tau[TAUS[0]], by_tau[TAUS[-1]]
    differences = {
        OVER_SMALLEST: (best - first)[..., REVENUE],
        OVER_LARGEST: (best - last)[..., REVENUE],
        STRAYS: (first - last)[..., KL],
    }
    return (*curves, *(Row(name, size, mean(values)) for name, values in differences.items()))


def _revenue(values: Floats) -> float:
    return float(values[..., REVENUE].mean())


def _at(auctions: Auctions, size: int, tau: float) -> Floats:
    """[Q, S, MEASURED]"""
    return auctions.measure(size, lambda numbers, names: _measured(replace(numbers, tau=tau), names))


def _measured(numbers: Numbers, names: Names) -> tuple[float, ...]:
    """In the order of MEASURED."""
    allocation = numbers.solve()
    pi = allocation.pi
    return (
        float(offset(numbers, allocation, 0).sum()),
        float((numbers.rewards @ pi).sum()),
        divergence(numbers, allocation),
        float(pi @ numbers.log_ref),
        allocation.effective_sample_size,
        float(pi @ np.logical_or.reduce(names)),
    )


def judge(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """The hump and the user's price; the best τ is chosen on the same auctions."""
    parts = {
        "revenue falls towards a small τ": OVER_SMALLEST,
        "revenue falls towards a large τ": OVER_LARGEST,
        "replies stray less as τ grows": STRAYS,
    }
    return tuple(above_zero(CLAIM, says, only(rows, name)) for says, name in parts.items())


FIGURE = FigureOf("tau", "What τ decides", "", __doc__, run, judge, x_label="τ, nats", log_x=True, panels=True)
