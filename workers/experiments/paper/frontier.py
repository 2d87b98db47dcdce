"""What τ decides: revenue, reward, how far replies stray from the reference model, and how often brands are named.

The same candidates are allocated again at each τ, with the rewards as they are: bids are assumed unchanged. At a small
τ the effective sample size says how few candidates still count: below a few, more candidates would change the numbers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from workers.mechanism.allocation import Floats, Numbers

STEEP = 0.5  # a τ is on the steep part where doubling it more than halves what the replies stray
FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # of the operator's τ


@dataclass(frozen=True, slots=True)
class NamedAuction:
    """An auction that was held, and which advertisers each of its candidates names."""

    numbers: Numbers
    names: NDArray[np.bool_]  # [N, M]


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """Means over auctions at one τ."""

    tau: float  # micros per nat, or nats where rewards are
    revenue: float  # in the unit of the rewards
    reward: float  # expected, of all advertisers
    welfare: float  # reward − τ₀·divergence, with the τ₀ that the auctions were held at
    divergence: float  # KL(π ‖ softmax(log π_ref − log q)), nats
    named: float  # probability that the reply names an advertiser
    effective: float  # effective sample size


def frontier(auctions: Sequence[NamedAuction], taus: Iterable[float]) -> tuple[FrontierPoint, ...]:
    """One point for each τ. ValueError: no auction."""
    if not auctions:
        raise ValueError("no auction to allocate again")
    return tuple(_mean([_at(auction, tau) for auction in auctions]) for tau in taus)


def is_steep(points: Sequence[FrontierPoint], tau: float) -> bool:
    """Whether replies would stray less than half as far at twice this τ. KeyError: the points lack one of the two."""
    strays = {point.tau: point.divergence for point in points}
    return strays[2 * tau] < STEEP * strays[tau]


def _at(auction: NamedAuction, tau: float) -> FrontierPoint:
    numbers = replace(auction.numbers, tau=tau)
    allocation = numbers.solve()
    divergence = _divergence(allocation.pi, allocation.log_pi, numbers)
    reward = float((numbers.rewards @ allocation.pi).sum())
    return FrontierPoint(
        tau,
        tau * float(allocation.influence.sum()),
        reward,
        reward - auction.numbers.tau * divergence,
        divergence,
        float(allocation.pi @ np.logical_or.reduce(auction.names, axis=0)),
        allocation.effective_sample_size,
    )


def _divergence(pi: Floats, log_pi: Floats, numbers: Numbers) -> float:
    advert_free = replace(numbers, rewards=numbers.rewards[:0]).solve().log_pi
    possible = pi > 0
    return float(pi[possible] @ (log_pi[possible] - advert_free[possible]))


def _mean(points: Sequence[FrontierPoint]) -> FrontierPoint:
    return FrontierPoint(
        *(float(np.mean([getattr(point, field.name) for point in points])) for field in fields(FrontierPoint))
    )
