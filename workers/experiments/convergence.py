"""The drawn reply's law against the closed form π* ∝ π_ref·exp(Σ r/τ) as M grows (Corollary 1 of the paper)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workers.experiments.figure import Advance, Cell, Curve, Figure, Plot, Table
from workers.experiments.law import BLOCKS, Measured, exact_law, leading_constant, measure_law
from workers.experiments.market import PROPOSALS, Market, Proposal, make_market, total_variation
from workers.mechanism.allocation import Floats

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)
AUCTIONS = 10_000  # of each size and proposal
STEPS = BLOCKS * len(SIZES) * len(PROPOSALS)
RATE_FROM = 200  # candidates from which the slope is fitted: below it the next order of the bias still shows
COLUMNS = {
    "candidates": "M",
    "exact": "exact TV",
    "measured": "measured TV",
    "error": "±",
    "noise": "noise",
    "apart": "measured from exact",
    "reward_micros": "reward, micros",
    "welfare_lost_micros": "welfare lost, micros",
}
RATE_COLUMNS = {
    "proposal": "candidates from",
    "measured_slope": "measured slope",
    "error": "±",
    "exact_slope": "exact slope",
    "scaled": "M·TV at the largest M",
    "limit": "its limit",
}
PLOT_TITLE = "Total variation from the optimal law against M: lines exact, dots measured, dashes the Monte-Carlo noise"
PARAGRAPHS = (
    "M candidates are drawn from the proposal, `allocate` weighs them, one is drawn. The law of that reply, averaged "
    "over all draws of candidates, is compared with π*(y) ∝ π_ref(y)·exp(Σ r(y)/τ) in total variation (TV). The model "
    "is a bigram table over six words, with replies of at most four tokens: all {replies:,} replies are listed, so π* "
    "is known exactly.",
    "**exact** is the law without any sampling: a reply of relative weight w = π*/q has probability "
    "π*(y)·E[M/(w(y) + W)], where W is the sum of M − 1 independent weights, and that is a one-dimensional integral. "
    "**measured** is the mean of what `workers.mechanism.allocation.allocate` gives in {auctions:,} independent "
    "auctions, with unnormalised importance weights, whose mean is known, as control variate; **±** is its standard "
    "error.",
    "**noise** is the TV that Monte-Carlo error alone would show if the law were exactly right: a measured TV says "
    "something where it is well above it. A sum of absolute errors never cancels, so the measured TV lies above the "
    "true one by a part of the noise, which ± leaves out. **measured from exact** is the TV between the two laws: when "
    "`allocate` does what the theory says it is about the noise.",
    "**reward** is the expected sum of rewards; **welfare lost** is J(π*) − J(π) = τ·KL(π ‖ π*), where "
    "J(π) = E[Σ r] − τ·KL(π ‖ π_ref). Both are of the exact law; π* itself earns {reward:,.1f} micros.",
    "**slope** is that of log TV on log M over the sizes from M = {rate_from}, −1 where TV ∝ 1/M: the bias of "
    "self-normalised importance sampling, whose M·TV tends to ½·Σ π*·|w − Σ π*·w|.",
)


@dataclass(frozen=True, slots=True)
class Point:
    """One proposal with M candidates; distances are total variations, amounts micros."""

    candidates: int
    exact: float  # between the exact law and the target
    measured: float  # between the measured law and the target
    error: float  # standard error of `measured`
    noise: float  # what `measured` would be if the law were the target
    apart: float  # between the measured law and the exact law
    reward: float
    welfare_lost: float

    def cells(self) -> tuple[int | float, ...]:
        """In the order of COLUMNS."""
        distances = (self.exact, self.measured, self.error, self.noise, self.apart)
        return (self.candidates, *distances, self.reward, self.welfare_lost)


@dataclass(frozen=True, slots=True)
class Slope:
    """The exponent a of TV ∝ Mᵃ, and its standard error."""

    exponent: float
    error: float


def run(seed: int, advance: Advance, auctions: int = AUCTIONS, sizes: Sequence[int] = SIZES) -> Figure:
    """The figure; `advance` is called BLOCKS times for each size and proposal. auctions is a multiple of BLOCKS."""
    market = make_market(seed)
    tables: list[Table] = []
    rates: list[tuple[Cell, ...]] = []
    findings: list[str] = []
    curves: list[Curve] = []
    for number, proposal in enumerate(PROPOSALS):
        rng = np.random.default_rng([seed, 1, number])
        points = [measure_point(market, proposal, size, auctions, rng, advance) for size in sizes]
        name = f"the {proposal.replace('_', '-')} model"
        tables.append(Table(f"Candidates from {name}", COLUMNS, tuple(point.cells() for point in points)))
        rates.append((name, *_rate(market, proposal, points)))
        findings.append(_finding(name, points))
        curves += _curves(name, points, 0 if number == 0 else 1)
    tables.append(Table("Rate", RATE_COLUMNS, tuple(rates)))
    plot = Plot(
        PLOT_TITLE,
        "candidates M (line: exact, dots: measured, dashes: noise)",
        "total variation from π*",
        tuple(curves),
    )
    paragraphs = _paragraphs(market, auctions)
    return Figure("Convergence to the optimal law", paragraphs, tuple(tables), tuple(findings), plot)


def measure_point(
    market: Market, proposal: Proposal, candidates: int, auctions: int, rng: np.random.Generator, advance: Advance
) -> Point:
    """One row of the table."""
    blocks = []
    for block in measure_law(market, proposal, candidates, auctions, rng):
        blocks.append(block)
        advance()
    measured, target = Measured(np.array(blocks)), np.exp(market.log_target)
    law = exact_law(market.log_proposal(proposal), market.log_target, candidates)
    return Point(
        candidates,
        exact=total_variation(law, target),
        measured=total_variation(measured.law, target),
        error=measured.standard_error(target),
        noise=measured.noise,
        apart=total_variation(measured.law, law),
        reward=float(law @ market.rewards.sum(axis=0)),
        welfare_lost=market.tau * float(law @ (np.log(law) - market.log_target)),
    )


def fit_slope(sizes: Floats, distances: Floats, errors: Floats) -> Slope:
    """Weighted least squares of log TV on log M; errors are the standard errors of the distances."""
    weights = (distances / errors) ** 2  # one over the variance of log TV, to first order
    logs = np.log(sizes)
    centred = logs - weights @ logs / weights.sum()
    spread = weights @ centred**2
    return Slope(float((weights * centred) @ np.log(distances) / spread), float(spread**-0.5))


def slopes(points: Sequence[Point]) -> tuple[Slope, Slope]:
    """Slopes of the exact and of the measured law over the points from RATE_FROM on (two or more), weighted alike."""
    tail = [point for point in points if point.candidates >= RATE_FROM]
    sizes, exact, measured, errors = np.array([(p.candidates, p.exact, p.measured, p.error) for p in tail]).T
    return fit_slope(sizes, exact, errors * exact / measured), fit_slope(sizes, measured, errors)


def _rate(market: Market, proposal: Proposal, points: Sequence[Point]) -> tuple[float, ...]:
    """In the order of RATE_COLUMNS, but for the first."""
    exact, measured = slopes(points)
    limit = leading_constant(market.log_proposal(proposal), market.log_target)
    return measured.exponent, measured.error, exact.exponent, points[-1].candidates * points[-1].exact, limit


def _paragraphs(market: Market, auctions: int) -> tuple[str, ...]:
    reward = float(np.exp(market.log_target) @ market.rewards.sum(axis=0))
    numbers = {"replies": len(market.replies), "auctions": auctions, "reward": reward, "rate_from": RATE_FROM}
    return tuple(text.format(**numbers) for text in PARAGRAPHS)


def _curves(name: str, points: Sequence[Point], colour: Literal[0, 1]) -> list[Curve]:
    sizes = tuple(float(point.candidates) for point in points)
    return [
        Curve(name, sizes, tuple(point.exact for point in points), colour, "line"),
        Curve("measured", sizes, tuple(point.measured for point in points), colour, "dots"),
        Curve("noise", sizes, tuple(point.noise for point in points), colour, "faint"),
    ]


def _finding(name: str, points: Sequence[Point]) -> str:
    first, last = points[0], points[-1]
    return (
        f"Candidates from {name}: TV falls from {first.exact:.4f} at M = {first.candidates} to {last.exact:.6f} at "
        f"M = {last.candidates:,}; measured there: {last.measured:.6f} ± {last.error:.6f}, noise {last.noise:.6f}."
    )
