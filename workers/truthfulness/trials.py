"""Trials: every property on many random auctions, each of which can be drawn again by its number."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from workers.truthfulness.properties import PROPERTIES, Measurement, check_all
from workers.truthfulness.random_auctions import draw_auction
from workers.truthfulness.rule import Rule


@dataclass(frozen=True, slots=True)
class PropertyTally:
    """One property over many auctions; the worst is the one that used the largest share of its tolerance."""

    name: str
    checked: int = 0
    violations: int = 0
    worst: Measurement | None = None
    worst_auction: int | None = None  # its number

    def add(self, number: int, finding: Measurement) -> "PropertyTally":
        """The tally with one more auction in it."""
        counted = replace(self, checked=self.checked + 1, violations=self.violations + finding.violated)
        if self.worst is None or _badness(finding) > _badness(self.worst):
            return replace(counted, worst=finding, worst_auction=number)
        return counted


def run(numbers: Iterable[int], seed: int, rule: Rule) -> Iterator[list[Measurement]]:
    """The findings of each auction in turn. Auction `number` depends on it and on the seed alone."""
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        yield check_all(draw_auction(rng), rule, rng)


def tally(numbers: Iterable[int], findings: Iterable[list[Measurement]]) -> list[PropertyTally]:
    """One row for each property, in the table's order."""
    rows = {name: PropertyTally(name) for name in PROPERTIES}
    for number, found in zip(numbers, findings, strict=True):
        for finding in found:
            rows[finding.name] = rows[finding.name].add(number, finding)
    return list(rows.values())


def _badness(finding: Measurement) -> tuple[bool, float, float]:
    """NaN first, then by share of the tolerance, then by margin."""
    return (finding.margin != finding.margin, finding.share, finding.margin)
