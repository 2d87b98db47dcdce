"""Figure 1b. The advertisers' total normalised reward rises fast with M for context-aware candidates, hardly at all
for the reference model's.
"""

from collections.abc import Sequence

from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, above_zero, only
from workers.experiments.paper.statistics import mean

HARDLY = 0.1  # of what context-aware gains; chosen before anything was measured
RISE = "rise of context_aware"
HARDLY_ANY = f"{HARDLY} of context_aware with all − reference with all"
VARIANTS = {"reward": "", "reward_plain": ", brand-free mean", "reward_exact": ", same candidates"}


def run(evaluation: Evaluation) -> tuple[Row, ...]:
    """By proposal, baseline and M (see `market.Estimates`); then the paired differences that the claim is about."""
    curves = [
        Row(name + label, m, mean(getattr(auctions.at(m), variant).sum(axis=2)))
        for name, auctions in evaluation.by_proposal.items()
        for variant, label in VARIANTS.items()
        for m in evaluation.sizes
    ]
    last = evaluation.sizes[-1]
    ours, first = (evaluation.context_aware.at(m).reward.sum(axis=2) for m in (last, 1))
    reference = evaluation.reference.at(last).reward.sum(axis=2)
    fell_back = [
        Row(f"{name}: share of footnote 5's fallbacks", last, mean(auctions.at(last).fell_back.astype(float)))
        for name, auctions in evaluation.by_proposal.items()
    ]
    differences = Row(RISE, last, mean(ours - first)), Row(HARDLY_ANY, last, mean(HARDLY * ours - reference))
    return (*curves, *fell_back, *differences)


def judge(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """N6, in its two parts."""
    return (
        above_zero("N6", "context-aware: the total normalised reward rises with M", only(rows, RISE)),
        above_zero("N6", f"the reference gains less than {HARDLY:.0%} of it", only(rows, HARDLY_ANY)),
    )


FIGURE = FigureOf("1b", "Total normalised reward", "nats", __doc__, run, judge)
