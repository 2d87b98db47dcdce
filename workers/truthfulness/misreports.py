"""The search for a misreport that gains: random, scaled, flipped, one-hot, swapped, and gradient ascent.

A misreport's gain is the advertiser's utility at its *true* rewards minus its utility when it reports them; the largest
is its regret. Definition 1 of the paper evaluates one side at the false ones, which no test may copy (mechanism/README
§10).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from workers.mechanism.allocation import Floats, Numbers
from workers.truthfulness.rule import Priced, Rule, as_billed, with_report, without

LARGEST = 5.0  # no misreport is further from the first reward than so many times the truth's spread + τ
DEFAULT_BUDGET = 160
PROBES = 32  # candidates whose slope is measured in one step of the ascent
STEPS = np.geomspace(1e-3, 3.0, 8)  # lengths tried along the slope, in units of spread + τ


@dataclass(frozen=True, slots=True)
class Misreport:
    """The best misreport that was found; a gain above the rounding error of float64 refutes strategyproofness."""

    gain_micros: float  # before rounding
    gain_whole_micros: float  # expected reward minus the charge in whole micros; up to 1 by rounding alone
    kind: str  # of the one with the largest `gain_micros`


@dataclass(frozen=True, slots=True)
class Reports:
    """What K reports of one advertiser lead to, one row each."""

    pi: Floats  # [K, M]
    prices: Floats  # [K] micros before rounding, what the liar pays
    charges: Floats  # [K] whole micros


Evaluate: TypeAlias = Callable[[Numbers, int, Floats], Reports]


def find_misreport(
    numbers: Numbers, advertiser: int, rule: Rule, rng: np.random.Generator, budget: int = DEFAULT_BUDGET
) -> Misreport:
    """The best misreport of one `advertiser` (its row) among about `budget` reports.

    The product's rule is evaluated on all reports in one batch, another `rule` report by report.

    The gains returned are always those of `rule` itself: the batch only proposes. Three fifths of the budget go to
    misreports that do not look at the rule, the rest to an ascent from the best of them.
    """
    search = _Search(numbers, advertiser, rule)
    kinds = {kind: draw(search, rng, max(1, budget // 8)) for kind, draw in KINDS.items()}
    lies = search.clip(np.concatenate(list(kinds.values())))
    gains, whole = search.gains(lies)
    best = int(gains.argmax())
    names = [kind for kind, rows in kinds.items() for _ in rows]
    found = [(names[best], lies[best]), (names[int(whole.argmax())], lies[int(whole.argmax())])]
    if (left := budget - len(lies)) > 0 and np.isfinite(gains[best]):
        found.append(("ascent", _ascend(search, lies[best], float(gains[best]), rng, left)))
    return _confirm(search, rule, found)


def price_reports(numbers: Numbers, advertiser: int, reports: Floats) -> Reports:
    """The product's rule for K `reports` [K, M], micros, of one `advertiser` (its row) at once; O(K·M + N·M).

    π' ∝ π₋ᵢ·exp(r'/τ) and p' = τ·KL(π' ‖ π₋ᵢ) (mechanism/README §3).
    """
    log_without = without(numbers, advertiser).solve().log_pi
    shares = (reports - reports[:, :1]) / numbers.tau
    scores = log_without + shares
    top = np.maximum.reduce(scores, axis=1, keepdims=True)
    weights = np.exp(scores - top)
    totals = np.add.reduce(weights, axis=1, keepdims=True)
    pi = weights / totals
    nats = np.einsum("km,km->k", pi, shares) - (top + np.log(totals))[:, 0]
    prices = numbers.tau * np.maximum(nats, 0.0)
    return Reports(pi, prices, np.rint(prices))


def one_by_one(rule: Rule) -> Evaluate:
    """Any `rule`, called once for each report: slow, for rules that have no batch."""

    def evaluate(numbers: Numbers, advertiser: int, reports: Floats) -> Reports:
        priced = [rule(with_report(numbers, advertiser, report)) for report in reports]
        pi = np.array([one.allocation.pi for one in priced])
        prices = np.array([one.prices[advertiser] for one in priced])
        return Reports(pi, prices, np.array([float(one.charges[advertiser]) for one in priced]))

    return evaluate


class _Search:
    """One advertiser's truth, what honesty brings, and how reports are valued."""

    def __init__(self, numbers: Numbers, advertiser: int, rule: Rule) -> None:
        self.numbers, self.advertiser = numbers, advertiser
        self.evaluate = price_reports if rule is as_billed else one_by_one(rule)
        self.truth: Floats = numbers.rewards[advertiser]
        self.relative: Floats = self.truth - self.truth[0]  # constants cost digits and change no gain
        self.size = float(np.ptp(self.truth)) + numbers.tau
        self.honest = rule(numbers)

    def clip(self, reports: Floats) -> Floats:
        """The reports, no further from the first true reward than LARGEST allows."""
        return np.asarray(self.truth[0] + np.clip(reports - self.truth[0], -LARGEST * self.size, LARGEST * self.size))

    def gains(self, reports: Floats) -> tuple[Floats, Floats]:
        """[K] gains in micros, before rounding and in whole-micro charges, as the batch sees them."""
        lied = self.evaluate(self.numbers, self.advertiser, reports)
        brought = (lied.pi - self.honest.allocation.pi) @ self.relative
        paid = self.honest.prices[self.advertiser], self.honest.charges[self.advertiser]
        return brought - (lied.prices - paid[0]), brought - (lied.charges - paid[1])

    def gain(self, lied: Priced) -> tuple[float, float]:
        """The same two gains for one auction that the rule itself has priced."""
        brought = float((lied.allocation.pi - self.honest.allocation.pi) @ self.relative)
        paid = float(lied.prices[self.advertiser] - self.honest.prices[self.advertiser])
        return brought - paid, brought - (lied.charges[self.advertiser] - self.honest.charges[self.advertiser])


def _confirm(search: _Search, rule: Rule, found: list[tuple[str, Floats]]) -> Misreport:
    """Price each lie by the rule itself and take the best."""
    priced = [rule(with_report(search.numbers, search.advertiser, lie)) for _, lie in found]
    gains = [search.gain(one) for one in priced]
    best = max(range(len(found)), key=lambda index: gains[index][0])
    return Misreport(gains[best][0], max(whole for _, whole in gains), found[best][0])


def _ascend(search: _Search, lie: Floats, gain: float, rng: np.random.Generator, budget: int) -> Floats:
    """Climb the liar's true utility along slopes measured by differences, for rules of any form."""
    probes = min(PROBES, len(lie))
    for _ in range(max(1, budget // (probes + len(STEPS)))):
        moved = rng.permutation(len(lie))[:probes]
        nearby = np.tile(lie, (probes, 1))
        nearby[np.arange(probes), moved] += 1e-4 * search.size
        slope = np.zeros(len(lie))
        slope[moved] = search.gains(nearby)[0] - gain
        steepest = float(np.abs(slope).max()) or 1.0
        tried = search.clip(lie + search.size * STEPS[:, None] * slope / steepest)
        gains = search.gains(tried)[0]
        if gains.max() > gain:
            lie, gain = tried[int(gains.argmax())], float(gains.max())
    return lie


def _random(search: _Search, rng: np.random.Generator, count: int) -> Floats:
    """Noise on the truth, from a ten-thousandth of its spread to three times."""
    widths = np.geomspace(1e-4, 3.0, count)[:, None] * search.size
    return search.truth + widths * rng.normal(size=(count, len(search.truth)))


def _scaled(search: _Search, rng: np.random.Generator, count: int) -> Floats:
    """Shading and exaggeration: nothing at all, a little less, a little more, up to five times."""
    factors = np.append(0.0, rng.choice([0.5, 0.9, 0.99, 1.01, 1.1, 1.5, 2.0, 5.0], count - 1) if count > 1 else [])
    return np.asarray(search.truth[0] + factors[:, None] * search.relative)


def _flipped(search: _Search, rng: np.random.Generator, count: int) -> Floats:
    """The opposite of the truth, at several sizes."""
    return np.asarray(search.truth[0] - np.geomspace(0.01, 5.0, count)[:, None] * search.relative)


def _one_hot(search: _Search, rng: np.random.Generator, count: int) -> Floats:
    """All on one candidate, the best of them first, or all against it."""
    targets = rng.integers(len(search.truth), size=count)
    targets[: count // 2] = search.truth.argmax()
    reports = np.full((count, len(search.truth)), search.truth[0])
    reports[np.arange(count), targets] += search.size * rng.choice([-5.0, -1.0, 0.1, 1.0, 5.0], count)
    return reports


def _swapped(search: _Search, rng: np.random.Generator, count: int) -> Floats:
    """Another advertiser's vector, with either sign, or on top of the truth; the truth rolled on where alone."""
    others = np.delete(search.numbers.rewards, search.advertiser, axis=0)
    others = others if len(others) else np.roll(search.truth, 1)[None]
    picked = others[rng.integers(len(others), size=count)]
    signs = rng.choice([-1.0, 1.0], count)[:, None]
    return np.asarray(signs * picked + rng.choice([0.0, 1.0], count)[:, None] * search.truth)


KINDS = {"random": _random, "scaled": _scaled, "flipped": _flipped, "one_hot": _one_hot, "swapped": _swapped}
