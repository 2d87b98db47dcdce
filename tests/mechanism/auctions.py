"""Auctions as numbers, for properties: hypothesis draws the shape and the scales, numpy fills in the rest."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from workers.mechanism.allocation import Allocation, allocate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Numbers:
    """The arguments of `allocate`."""

    log_q: Floats  # [M]
    log_ref: Floats  # [M]
    rewards: Floats  # [N, M]
    tau: float

    def solve(self) -> Allocation:
        return allocate(self.log_q, self.log_ref, self.rewards, self.tau)

    @property
    def charges(self) -> Floats:
        """[N] before rounding."""
        return self.tau * self.solve().influence

    @property
    def scale(self) -> float:
        """The size of the money at stake: for relative tolerances."""
        return float(np.abs(self.rewards).max(initial=0.0) + self.tau)


@st.composite
def auctions(
    draw: st.DrawFn,
    *,
    candidates: tuple[int, int] = (1, 24),
    advertisers: tuple[int, int] = (0, 6),
    tau_exponents: tuple[float, float] = (0.0, 6.0),
    nats_exponents: tuple[float, float] = (-3.0, 1.5),
) -> Numbers:
    """Rewards of τ·10**nats_exponents micros; ties, duplicates, −inf, constant and opposed bids are all common."""
    m, n = draw(st.integers(*candidates)), draw(st.integers(*advertisers))
    tau = 10.0 ** draw(st.floats(*tau_exponents))
    size = tau * 10.0 ** draw(st.floats(*nats_exponents))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    log_q = -rng.exponential(10.0, m)
    log_ref = np.minimum(log_q - rng.normal(0.0, 2.0, m), 0.0)
    rewards = rng.normal(0.0, size, (n, m))
    for twist in draw(st.lists(st.sampled_from(TWISTS), max_size=3, unique=True)):
        twist(rng, log_q, log_ref, rewards)
    log_ref[0] = max(log_ref[0], -1e3)  # one candidate is always possible
    return Numbers(log_q, log_ref, rewards, tau)


def _ties(rng: np.random.Generator, log_q: Floats, log_ref: Floats, rewards: Floats) -> None:
    if rewards.size:
        np.round(rewards, -int(np.floor(np.log10(np.abs(rewards).max() + 1e-300))), out=rewards)


def _duplicates(rng: np.random.Generator, log_q: Floats, log_ref: Floats, rewards: Floats) -> None:
    copied = rng.integers(len(log_q), size=len(log_q))
    for numbers in (log_q, log_ref, rewards):
        numbers[...] = numbers[..., copied]


def _impossible(rng: np.random.Generator, log_q: Floats, log_ref: Floats, rewards: Floats) -> None:
    log_ref[rng.random(len(log_ref)) < 0.3] = -np.inf


def _constant(rng: np.random.Generator, log_q: Floats, log_ref: Floats, rewards: Floats) -> None:
    if len(rewards):
        rewards[0] = rewards[0, 0]


def _opposed(rng: np.random.Generator, log_q: Floats, log_ref: Floats, rewards: Floats) -> None:
    if len(rewards) > 1:
        rewards[0] = -rewards[1]


def _aligned(rng: np.random.Generator, log_q: Floats, log_ref: Floats, rewards: Floats) -> None:
    if len(rewards) > 1:
        rewards[:] = rewards[0]


TWISTS = (_ties, _duplicates, _impossible, _constant, _opposed, _aligned)
