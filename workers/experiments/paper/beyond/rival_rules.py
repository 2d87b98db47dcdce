"""Other ways to sell the same candidates, in micros at 1,000 micros a nat: what each earns, how far it strays, and the
most that a search for misreports gained (the same search for each).

Payments that do not belong to the allocation can be gamed; the argmax cannot, and its law is another than the one which
weighs rewards against the reference model best. `divergence` is KL to the reference model and `from_optimal` KL to that
best law, both on the candidates and in nats. Myerson's payment for one number each is, on the same candidates, the same
charge as ours: τ·KL(π ‖ π₋ᵢ) is what a scaled bid gets, less the area under its curve.
"""

from collections.abc import Sequence

import numpy as np

from workers.experiments.paper.baselines import BASELINES, RuleOutcome, outcomes, scalar_myerson
from workers.experiments.paper.beyond import CLAIM
from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, above_zero, only
from workers.experiments.paper.statistics import mean
from workers.mechanism.allocation import Numbers
from workers.truthfulness.rule import as_billed

SEED = 1
MICROS = 1_000.0  # per nat
FIELDS = ("reward", "revenue", "divergence", "from_optimal", "incentive_gap")
GAP, MOST, APART = "{}: incentive_gap", "{}: largest gap", "{}: from_optimal"
SAME = "|Myerson's payment for one number each − ours|, largest of all auctions"
TRUTHFUL, GAMED = ("ours", "argmax_clarke"), ("softmax_first_price", "softmax_argmax_clarke")


def run(evaluation: Evaluation) -> tuple[Row, ...]:
    """Each rule on the first seed of each query, with all context-aware candidates."""
    size, auctions = evaluation.sizes[-1], evaluation.context_aware
    sold = [_in_micros(auctions.numbers(query, 0, size)) for query in range(len(auctions.log_q))]
    rows: list[Row] = []
    for name, rule in BASELINES.items():
        rows += _rows(name, outcomes(rule, sold, SEED), size)
    apart = np.array([[np.abs(scalar_myerson(one).prices - as_billed(one).prices).max()] for one in sold])
    return (*rows, Row(SAME, size, mean(apart.max(keepdims=True))))


def _in_micros(numbers: Numbers) -> Numbers:
    return Numbers(numbers.log_q, numbers.log_ref, MICROS * numbers.rewards, MICROS * numbers.tau)


def _rows(rule: str, found: Sequence[RuleOutcome], size: int) -> list[Row]:
    columns = {field: np.array([[getattr(one, field)] for one in found]) for field in FIELDS}
    most = columns["incentive_gap"].max(keepdims=True)
    means = [Row(f"{rule}: {name}", size, mean(column)) for name, column in columns.items()]
    return [*means, Row(MOST.format(rule), size, mean(most))]


def judge(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """Gaps of the truthful rules within a micro, of the others above zero."""
    truthful = [_within_a_micro(name, only(rows, MOST.format(name)).value) for name in TRUTHFUL]
    gamed = [above_zero(CLAIM, f"{name}: misreports gain", only(rows, GAP.format(name)), "micros") for name in GAMED]
    apart = only(rows, SAME).value
    far = above_zero(
        CLAIM, "argmax_clarke: another law than the optimal one", only(rows, APART.format("argmax_clarke"))
    )
    says = "Myerson's payments for one number each are ours, within a micro"
    return (*truthful, *gamed, far, ClaimVerdict(CLAIM, says, apart <= 1.0, f"largest difference {apart:.1e} micros"))


def _within_a_micro(name: str, gap: float) -> ClaimVerdict:
    return ClaimVerdict(CLAIM, f"{name}: no misreport gains a micro", gap <= 1.0, f"largest gain {gap:.2g} micros")


FIGURE = FigureOf("rules", "Other rules on the same candidates", "micros", __doc__, run, judge, grid=True)
