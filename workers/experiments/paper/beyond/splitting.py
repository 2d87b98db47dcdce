"""False names. One advertiser that reports as k, each with a k-th of its rewards, leaves the reply as it was and pays
less; linked to one party, it pays what it would have paid alone.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from workers.experiments.paper.beyond import CLAIM, ROUNDING
from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, above_zero, only
from workers.experiments.paper.market import Names
from workers.experiments.paper.statistics import mean
from workers.mechanism.allocation import Numbers
from workers.mechanism.link_groups import group
from workers.mechanism.payments import offset

NAMES = (1, 2, 3, 4, 5, 6, 7, 8)
UNLINKED, LINKED = "unlinked", "linked to one party"
SAVED, SAVED_LINKED = "saved by 8 names", "difference between 8 linked names and 1, largest of all auctions"


def charge_of_names(numbers: Numbers, advertiser: int, names: int, linked: bool) -> float:
    """What the advertiser pays in all where it reports under so many names; in the unit of the rewards."""
    rest = np.delete(numbers.rewards, advertiser, axis=0)
    shares = np.repeat(numbers.rewards[[advertiser]] / names, names, axis=0)
    own: list[Hashable] = ["linked"] * names if linked else [("own", one) for one in range(names)]
    grouped = replace(numbers, rewards=group(np.vstack([rest, shares]), [*range(len(rest)), *own]).rewards)
    return float(offset(grouped, grouped.solve(), 0)[len(rest) :].sum())


def run(evaluation: Evaluation) -> tuple[Row, ...]:
    """The splitter's charge by number of names, and what it saves."""
    size = evaluation.sizes[-1]
    charges = evaluation.context_aware.measure(size, _charges)
    curves = [
        Row(kind, size, mean(charges[:, :, place, k]), count)
        for place, kind in enumerate((UNLINKED, LINKED))
        for k, count in enumerate(NAMES)
    ]
    saved = charges[..., 0] - charges[..., -1]
    largest = np.abs(saved[:, :, 1]).max(keepdims=True)
    return (*curves, Row(SAVED, size, mean(saved[:, :, 0])), Row(SAVED_LINKED, size, mean(largest)))


def _charges(numbers: Numbers, _: Names) -> list[list[float]]:
    """[2, NAMES] the mean over advertisers, unlinked and linked."""
    everybody = range(len(numbers.rewards))
    return [
        [float(np.mean([charge_of_names(numbers, one, names, linked) for one in everybody])) for names in NAMES]
        for linked in (False, True)
    ]


def judge(rows: Sequence[Row]) -> tuple[ClaimVerdict, ...]:
    """That names save money, and that link groups end it."""
    linked = only(rows, SAVED_LINKED).value
    same = ClaimVerdict(
        CLAIM, "eight linked names pay what one pays", linked <= ROUNDING, f"largest difference {linked:.1e} nats"
    )
    return (above_zero(CLAIM, "eight unlinked names pay less than one", only(rows, SAVED)), same)


FIGURE = FigureOf("names", "One advertiser's charge under several names", "nats", __doc__, run, judge, x_label="names")
