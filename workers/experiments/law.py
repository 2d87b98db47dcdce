"""The law of the drawn reply over all draws of M candidates: exactly by quadrature, and measured on `allocate`."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workers.experiments.market import Market, Proposal
from workers.mechanism.allocation import Floats, allocate

BLOCKS = 20  # auctions are averaged in so many parts, whose scatter is the Monte-Carlo error
QUADRATURE = np.arange(-40.0, 40.0, 0.1)  # nodes in log s: the rule is exact to rounding, the law sums to 1


@dataclass(frozen=True, slots=True)
class Measured:
    """A law estimated in BLOCKS independent parts, [BLOCKS, R]."""

    blocks: Floats

    @property
    def law(self) -> Floats:
        """[R] the estimate; its entries sum to 1 and may be a little below 0."""
        return np.asarray(self.blocks.mean(axis=0))

    @property
    def noise(self) -> float:
        """The expected total variation from the truth of an estimate without bias, from the scatter of the parts."""
        errors = self.blocks.std(axis=0, ddof=1) / np.sqrt(len(self.blocks))
        return float(errors.sum() * np.sqrt(2 / np.pi) / 2)

    def standard_error(self, target: Floats) -> float:
        """Standard error of the total variation between law and target, both [R]."""
        signs = np.sign(self.law - target)
        parts = (self.blocks - target) @ signs / 2
        return float(parts.std(ddof=1) / np.sqrt(len(parts)))


def exact_law(log_proposal: Floats, log_target: Floats, candidates: int) -> Floats:
    """[R] the law of the reply that is drawn from `candidates` draws of the proposal, without sampling.

    With w = π*/q and W the sum of M − 1 independent weights, the M exchangeable candidates give
    law(y) = M·q(y)·E[w(y)/(w(y) + W)]. Writing 1/x as ∫ exp(−x·t) dt and t = s/M,
    law(y) = π*(y)·∫₀^∞ exp(−w(y)·s/M)·L(s/M)^(M−1) ds with L(t) = Σ q·exp(−w·t): a smooth integral over log s.
    Both laws are log-probabilities [R]; the proposal must be able to say everything, or ValueError.
    """
    if not (candidates >= 1 and np.isfinite(log_proposal).all()):
        raise ValueError("there must be a candidate, and the proposal must be able to say every reply")
    weights, nodes = np.exp(log_target - log_proposal), np.exp(QUADRATURE)
    decays = np.exp(-np.outer(nodes, weights / candidates))  # [nodes, R]
    others = (decays @ np.exp(log_proposal)) ** (candidates - 1)
    step = QUADRATURE[1] - QUADRATURE[0]
    return np.asarray(np.exp(log_target) * ((nodes * others * step) @ decays))


def leading_constant(log_proposal: Floats, log_target: Floats) -> float:
    """The limit of M·TV: ½·Σ π*(y)·|w(y) − Σ π*·w|, from law(y) = π*(y)·(1 + (Σ π*·w − w(y))/M + O(1/M²))."""
    target, weights = np.exp(log_target), np.exp(log_target - log_proposal)
    return float(target @ np.abs(weights - target @ weights) / 2)


def measure_law(
    market: Market, proposal: Proposal, candidates: int, auctions: int, rng: np.random.Generator
) -> Iterator[Floats]:
    """BLOCKS estimates [R] of the same law, each the mean over auctions/BLOCKS auctions, a whole number or ValueError.

    One auction gives Σⱼ πⱼ·1[yⱼ = y] with π from `allocate`. Its unbiased twin ĝ(y) = Σⱼ wⱼ·1[yⱼ = y]/M has
    expectation π*(y), and Ŵ = Σⱼ wⱼ/M has expectation 1, both exactly and whatever `allocate` does; so
    π̂ − ĝ + π*·Ŵ has the same expectation as π̂ and, once M is large, a far smaller variance.
    """
    if auctions < BLOCKS or auctions % BLOCKS:
        raise ValueError(f"{auctions} auctions are no multiple of {BLOCKS}")
    log_q, log_target = market.log_proposal(proposal), market.log_target
    cumulated, weights, target = np.cumsum(np.exp(log_q)), np.exp(log_target - log_q), np.exp(log_target)
    for _ in range(BLOCKS):
        total = np.zeros(len(target))
        for _ in range(auctions // BLOCKS):
            drawn = np.searchsorted(cumulated[:-1], rng.random(candidates), side="right")
            allocation = allocate(log_q[drawn], market.log_ref[drawn], market.rewards[:, drawn], market.tau)
            twin = weights[drawn] / candidates
            total += np.bincount(drawn, allocation.pi - twin, len(target)) + target * twin.sum()
        yield total / (auctions // BLOCKS)
