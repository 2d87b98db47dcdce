"""The theorems as a table: what each states, how its margin is measured, and what float64 allows (mechanism/README §5).

    for property_ in PROPERTIES.values():
        finding = property_.check(numbers, as_billed, rng)

Tests, `tessera prove`, a monitor and an audit all loop over this table, so that they cannot disagree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from workers.mechanism.allocation import Numbers
from workers.truthfulness import margins
from workers.truthfulness.margins import scale_micros
from workers.truthfulness.misreports import LARGEST
from workers.truthfulness.rule import Rule, spreads

Measure: TypeAlias = Callable[[Numbers, Rule, np.random.Generator], float]
Tolerance: TypeAlias = Callable[[Numbers], float]

EPSILON = float(np.finfo(np.float64).eps)
ROW = 1e-12  # of the money's scale: rows that are exact but for float64
LIE = 1e-9  # of the money's scale: what a misreport may gain by float64 alone


@dataclass(frozen=True, slots=True)
class Measurement:
    """One property measured on one auction."""

    name: str
    margin: float
    tolerance: float

    @property
    def violated(self) -> bool:
        """Whether the margin is above the tolerance, or NaN."""
        return not self.margin <= self.tolerance  # NaN is a violation

    @property
    def share(self) -> float:
        """The margin as a share of the tolerance, above 1 for a violation; of an exact property: 0 or infinite."""
        if self.tolerance > 0:
            return self.margin / self.tolerance
        return np.inf if self.violated else 0.0


@dataclass(frozen=True, slots=True)
class Property:
    """One theorem that runs."""

    name: str
    statement: str
    measure: Measure
    tolerance: Tolerance
    needs_advertiser: bool = True

    def applies(self, numbers: Numbers) -> bool:
        """Whether it says anything about these numbers: most properties need an advertiser."""
        return len(numbers.rewards) > 0 or not self.needs_advertiser

    def check(self, numbers: Numbers, rule: Rule, rng: np.random.Generator) -> Measurement:
        """Measure the margin under `rule`; InvalidAuction when the numbers are none."""
        return Measurement(self.name, self.measure(numbers, rule, rng), self.tolerance(numbers))


def float_error_nats(numbers: Numbers) -> float:
    """How wrong S, log π and log π₋ᵢ may be in float64, nats: (N + log₂M + 8)·ε·L.

    S_j adds N + 2 terms. Their magnitudes add up to at most L = Σ_i Δ_i/τ + max|log q| + max|log π_ref|, so by the
    textbook bound for sums S is wrong by (N + 2)·ε·L at most. Differences from the first candidate, division by τ,
    centring, exponential and logarithm add a rounding each, and numpy's pairwise sums over candidates log₂M: eight and
    log₂M more cover them. L gets log M + 1 on top, for the normaliser of numbers that are all 0.
    """
    possible = np.isfinite(numbers.log_ref)
    logs = np.abs(numbers.log_q).max() + np.abs(numbers.log_ref[possible]).max() + np.log(len(numbers.log_q)) + 1.0
    magnitude = _bids_nats(numbers) + float(logs)
    return float(len(numbers.rewards) + np.log2(len(numbers.log_q)) + 8) * EPSILON * magnitude


def _bids_nats(numbers: Numbers) -> float:
    return float(spreads(numbers.rewards).sum()) / numbers.tau


def nothing(numbers: Numbers) -> float:
    """Exact: no rounding error can break it."""
    return 0.0


def probability_tolerance(numbers: Numbers) -> float:
    """1e-12, or the relative error of exp(x) when x is wrong by the error of S; probability."""
    return max(ROW, float_error_nats(numbers))


def row_tolerance(numbers: Numbers) -> float:
    """1e-12 of Δ + τ, or the error of S in nats times Δ + τ, whichever is larger; micros.

    When S moves by e, a probability moves by 2e of itself at most, an expected reward by 2e·Δ and τ·KL by 2e·(Δ + τ);
    ε above is two units of rounding, which is that 2. So 1e-12 of the scale is kept while (N + log₂M + 8)·L ≤ 4 500
    nats (N=2, M=20: L ≤ 310). Bids of a million nats are sure of eight digits only, at worst; float64 has no more.
    """
    return max(ROW, float_error_nats(numbers)) * scale_micros(numbers)


def lie_tolerance(numbers: Numbers) -> float:
    """1e-9 of Δ + τ, or what float64 keeps of the utility under the largest misreport tried; micros.

    A misreport stays within `LARGEST`·(Δ + τ) of the truth's first value on both sides: its spread is at most
    2·LARGEST = 10 times Δ + τ. So L and the scale grow by 11 at most, 121 together, and 1e-9 holds
    while (N + log₂M + 8)·L ≤ 37 000.
    """
    growth = (1.0 + 2.0 * LARGEST) ** 2
    return max(LIE, growth * float_error_nats(numbers)) * scale_micros(numbers)


def nothing_tolerance(numbers: Numbers) -> float:
    """What rounding leaves where the price is 0: the error of S without any bid, times τ; micros.

    One candidate is exact; else log Σ exp(log π) is 0 up to that error, and never half a micro.
    """
    unbid = Numbers(numbers.log_q, numbers.log_ref, numbers.rewards[:0], numbers.tau)
    return max(ROW, float_error_nats(unbid)) * numbers.tau


_ROWS = (
    Property(
        "distribution", "π and every π₋ᵢ are ≥ 0 and sum to 1", margins.distribution, probability_tolerance, False
    ),
    Property("truthful", "no report gives an advertiser more than the truth", margins.truthful, lie_tolerance),
    Property("no deficit", "nobody is paid: p_i ≥ 0", margins.no_deficit, nothing),
    Property("participation", "joining never costs more than it brings", margins.participation, row_tolerance),
    Property("identity", "Δ reward = p_i + gain = τ·(KL(π‖π₋ᵢ) + KL(π₋ᵢ‖π))", margins.identity, row_tolerance),
    Property("lemma 1", "reward minus charge = τ·log Σ π₋ᵢ·exp(r_i/τ)", margins.lemma_1, row_tolerance),
    Property("charge bound", "p_i ≤ min(Δ_i, Δ_i²/8τ)", margins.charge_bound, row_tolerance),
    Property("shift", "a constant on top of an advertiser's rewards changes nothing", margins.shift, row_tolerance),
    Property("order", "the order of candidates and advertisers does not matter", margins.order, row_tolerance),
    Property("duplicates", "a candidate twice = once with log 2 more", margins.duplicates, row_tolerance),
    Property(
        "degenerate", "nothing to decide costs nothing; N=0 is softmax(w)", margins.degenerate, nothing_tolerance, False
    ),
    Property("almost IR", "rewards ≥ 0 leave no loss; r_i = 0 leaves 0", margins.almost_ir, row_tolerance),
    Property("scale", "(c·r, c·τ) gives the same π and c·p", margins.scale, row_tolerance),
    Property("absence", "π₋ᵢ is the auction held without i", margins.absence, row_tolerance),
    Property("rounding", "a charge is its price rounded once", margins.rounding, nothing),
    Property("missing reward", "whoever lacks a reward is out; it never counts as 0", margins.missing, row_tolerance),
)

#: Every property by its name.
PROPERTIES = {row.name: row for row in _ROWS}


def check_all(numbers: Numbers, rule: Rule, rng: np.random.Generator) -> list[Measurement]:
    """Every property that applies to these numbers, measured under `rule`."""
    return [row.check(numbers, rule, rng) for row in PROPERTIES.values() if row.applies(numbers)]


def violations(numbers: Numbers, rule: Rule, rng: np.random.Generator) -> set[str]:
    """The names of the properties that `rule` breaks on these numbers."""
    return {finding.name for finding in check_all(numbers, rule, rng) if finding.violated}
