"""Figure 1a. The returned reply becomes more probable under the optimal law as M grows, with either proposal.

Context-aware with M = 4 is above the reference with M = 20, and with M = 20 it nearly reaches a reply drawn from the
optimal law itself, for which the paper takes the reference model's own replies under their own law (its footnote 4).
The logarithm is that of π_ref·exp(Σ r), without the normaliser, which is the same for both proposals.
"""

from collections.abc import Sequence

from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, above_zero, only
from workers.experiments.paper.statistics import mean

NEARLY = 0.75  # of the way from the reference with one candidate to the proxy; chosen before anything was measured
RISE = "rise of {}"
FOUR_OVER_ALL = "context_aware with 4 − reference with all"
BEYOND = f"context_aware with all − {NEARLY} of the way to the proxy"


def run(evaluation: Evaluation) -> tuple[Row, ...]:
    """By proposal and M; then the proxy and the paired differences that the claim is about."""
    last = evaluation.sizes[-1]
    of = {
        name: {m: auctions.at(m).log_target for m in evaluation.sizes}
        for name, auctions in evaluation.by_proposal.items()
    }
    ours, reference, proxy = of["context_aware"], of["reference"], evaluation.reference.log_ref.mean(axis=2)
    differences = {
        "proxy": proxy,
        RISE.format("context_aware"): ours[last] - ours[1],
        RISE.format("reference"): reference[last] - reference[1],
        FOUR_OVER_ALL: ours[min(4, last)] - reference[last],
        BEYOND: ours[last] - reference[1] - NEARLY * (proxy - reference[1]),
    }
    curves = [Row(name, m, mean(values)) for name, by_size in of.items() for m, values in by_size.items()]
    return (*curves, *(Row(name, last, mean(values)) for name, values in differences.items()))


def judge(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """N5, in its parts."""
    parts = {
        "context-aware: the log-probability rises with M": RISE.format("context_aware"),
        "reference: the log-probability rises with M": RISE.format("reference"),
        "context-aware with M = 4 is above the reference with M = 20": FOUR_OVER_ALL,
        f"context-aware with M = 20 is near the proxy ({NEARLY:.0%} of the way or more)": BEYOND,
    }
    return tuple(above_zero("N5", says, only(rows, name)) for says, name in parts.items())


FIGURE = FigureOf("1a", "Log-probability of the returned reply under the optimal law", "nats", __doc__, run, judge)
