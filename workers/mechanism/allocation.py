"""Who gets how much say: π = softmax(S) with S = Σᵢ rᵢ/τ + log π_ref − log q (paper: EC.1; mechanism/README §2)."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


class InvalidAuction(ValueError):
    """The numbers are not an auction: wrong shapes, a NaN, an infinite reward, or no candidate with positive weight."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What an auction is decided by: the arguments of `allocate`."""

    log_q: Floats  # [M] nats
    log_ref: Floats  # [M] nats
    rewards: Floats  # [N, M] micros
    tau: float  # micros per nat

    def solve(self) -> "Allocation":
        """The allocation of these numbers; InvalidAuction."""
        return allocate(self.log_q, self.log_ref, self.rewards, self.tau)


@dataclass(frozen=True, slots=True)
class Allocation:
    """π over the M candidates, and π₋ᵢ for each of the N advertisers; logarithms in nats."""

    log_pi: Floats  # [M]
    pi: Floats  # [M], sums to 1
    log_pi_without: Floats  # [N, M]
    influence: Floats  # [N], KL(π ‖ π₋ᵢ) in nats, ≥ 0

    @property
    def effective_sample_size(self) -> float:
        """1 / Σ π²: between 1 (one candidate decides) and M (all alike)."""
        return 1.0 / float(self.pi @ self.pi)


def allocate(log_q: Floats, log_ref: Floats, rewards: Floats, tau: float) -> Allocation:
    """The allocation (EC.1) and what it would be without each advertiser (EC.2); O(N·M).

    Args:
      log_q: [M] nats, finite; log-probability of each candidate under the density it was drawn from.
      log_ref: [M] nats, or −inf where the reference model never says this; finite for at least one candidate.
      rewards: [N, M] micros, finite; what candidate j is worth to advertiser i. N may be 0.
      tau: micros per nat, finite, > 0; the weight of the reference model.

    Raises InvalidAuction for anything else.

    With δᵢ = rᵢ/τ centred on its own mean under π, π₋ᵢ ∝ π·exp(−δᵢ) and the normaliser's logarithm is exactly
    KL(π ‖ π₋ᵢ). A constant in an advertiser's rewards changes nothing, so rewards count from the first candidate's on:
    large ones that are alike cost no digits.
    """
    _check(log_q, log_ref, rewards, tau)
    shares = (rewards - rewards[:, :1]) / tau
    log_pi, pi = _softmax(np.add.reduce(shares) + log_ref - log_q)
    centred = shares - _means(shares, pi)
    unnormalised = log_pi - centred
    influence = _log_sum_exp(unnormalised)
    return Allocation(log_pi, pi, unnormalised - influence, np.maximum(influence[:, 0], 0.0))


def _means(shares: Floats, pi: Floats) -> Floats:
    """[N, 1] means of the rows under π, taken from the most probable candidate: large constants cancel exactly."""
    anchor = shares[:, pi.argmax(), None]
    means: Floats = anchor + (shares - anchor).dot(pi)[:, None]  # `@` takes half a microsecond longer
    return means


def _softmax(scores: Floats) -> tuple[Floats, Floats]:
    """Logarithm and value of softmax(scores), both [M]."""
    shifted = scores - np.maximum.reduce(scores)
    weights = np.exp(shifted)
    total = np.add.reduce(weights)
    return shifted - math.log(total), weights / total


def _log_sum_exp(rows: Floats) -> Floats:
    """[N, 1] log Σⱼ exp(rows[:, j]); every row has a finite entry."""
    top = np.maximum.reduce(rows, axis=1, keepdims=True)
    totals: Floats = np.add.reduce(np.exp(rows - top), axis=1, keepdims=True)
    return top + np.log(totals)


def _check(log_q: Floats, log_ref: Floats, rewards: Floats, tau: float) -> None:
    shape = log_q.shape
    if len(shape) != 1 or shape == (0,) or log_ref.shape != shape:
        raise InvalidAuction(f"log_q {shape} and log_ref {log_ref.shape} must both be [M] with M ≥ 1")
    if rewards.ndim != 2 or rewards.shape[1:] != shape:
        raise InvalidAuction(f"rewards {rewards.shape} must be [N, {shape[0]}]")
    total = np.add.reduce(log_q) + np.add.reduce(rewards, axis=None)  # a NaN or an infinity reaches the sum
    if not (math.isfinite(total) and 0 < tau < math.inf):
        raise InvalidAuction("log_q, rewards and tau must be finite, and tau positive")
    if not math.isfinite(np.maximum.reduce(log_ref)):  # NaN and +inf propagate; −inf only if all are
        raise InvalidAuction("log_ref has a NaN or +inf, or no candidate is possible under the reference model")
