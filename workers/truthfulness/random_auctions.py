"""Random auctions of every shape and scale, ties, duplicates, impossible and opposed bids included."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from workers.mechanism.allocation import Floats, Numbers

Twist: TypeAlias = Callable[[np.random.Generator, Floats, Floats, Floats], None]

#: Most candidates, most advertisers, and how often: mostly as in practice, with a tail to the limits of an event.
SHAPES = ((24, 6, 0.93), (64, 16, 0.06), (256, 64, 0.01))


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of an auction: M, N, micros per nat, and the standard deviation of a reward in nats."""

    candidates: int
    advertisers: int
    tau: float
    nats: float


def draw_shape(rng: np.random.Generator) -> Shape:
    """M up to 256, N up to 64, τ from 1 to 10⁸ micros per nat, rewards from a thousandth to 10⁶ nats."""
    most_candidates, most_advertisers, _ = SHAPES[int(rng.choice(len(SHAPES), p=[share for *_, share in SHAPES]))]
    least, most = (-3.0, 1.5) if rng.random() < 0.8 else (1.5, 6.0)
    return Shape(
        int(rng.integers(1, most_candidates + 1)),
        int(rng.integers(0, most_advertisers + 1)),
        float(10.0 ** rng.uniform(0.0, 8.0)),
        float(10.0 ** rng.uniform(least, most)),
    )


def draw_auction(rng: np.random.Generator) -> Numbers:
    """One random auction, with up to three twists."""
    twists = list(TWISTS.values())
    chosen = [twists[index] for index in rng.permutation(len(twists))[: rng.integers(0, 4)]]
    return fill(draw_shape(rng), chosen, rng)


def fill(shape: Shape, twists: Sequence[Twist], rng: np.random.Generator) -> Numbers:
    """An auction of that shape: numbers from the generator, then the twists in turn; one candidate is possible."""
    log_q = -rng.exponential(10.0, shape.candidates)
    log_ref = np.minimum(log_q - rng.normal(0.0, 2.0, shape.candidates), 0.0)
    rewards = rng.normal(0.0, shape.nats * shape.tau, (shape.advertisers, shape.candidates))
    for twist in twists:
        twist(rng, log_q, log_ref, rewards)
    log_ref[0] = max(log_ref[0], -1e3)
    return Numbers(log_q, log_ref, rewards, shape.tau)


def _ties(rng: np.random.Generator, log_q: Floats, log_ref: Floats, rewards: Floats) -> None:
    """Rewards of one digit."""
    if rewards.size:
        np.round(rewards, -int(np.floor(np.log10(np.abs(rewards).max() + 1e-300))), out=rewards)


def _duplicates(rng: np.random.Generator, log_q: Floats, log_ref: Floats, rewards: Floats) -> None:
    """Some candidates several times, others not at all."""
    copied = rng.integers(len(log_q), size=len(log_q))
    for numbers in (log_q, log_ref, rewards):
        numbers[...] = numbers[..., copied]


def _impossible(rng: np.random.Generator, log_q: Floats, log_ref: Floats, rewards: Floats) -> None:
    """Three in ten candidates that the reference model never says."""
    log_ref[rng.random(len(log_ref)) < 0.3] = -np.inf


def _constant(rng: np.random.Generator, log_q: Floats, log_ref: Floats, rewards: Floats) -> None:
    """An advertiser that does not care."""
    rewards[:1] = rewards[:1, :1]


def _opposed(rng: np.random.Generator, log_q: Floats, log_ref: Floats, rewards: Floats) -> None:
    """Two that want the opposite."""
    if len(rewards) > 1:
        rewards[0] = -rewards[1]


def _aligned(rng: np.random.Generator, log_q: Floats, log_ref: Floats, rewards: Floats) -> None:
    """All want the same."""
    rewards[:] = rewards[:1]


def _uneven(rng: np.random.Generator, log_q: Floats, log_ref: Floats, rewards: Floats) -> None:
    """Advertisers of very different means."""
    rewards *= 10.0 ** rng.uniform(-4.0, 0.0, (len(rewards), 1))


TWISTS: dict[str, Twist] = {
    "ties": _ties,
    "duplicates": _duplicates,
    "impossible": _impossible,
    "constant": _constant,
    "opposed": _opposed,
    "aligned": _aligned,
    "uneven": _uneven,
}
