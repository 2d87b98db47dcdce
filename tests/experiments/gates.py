"""Gates and floors as rules of one signature, and the search for lies that pay under them."""

from collections.abc import Callable

import numpy as np

from workers.experiments.participation_fee import gate
from workers.mechanism.allocation import Allocation, Floats, Numbers, allocate
from workers.truthfulness.rule import as_billed

#: An auction and a limit in micros to who takes part [N], charges [N] and the allocation.
Rule = Callable[[Numbers, float], tuple[np.ndarray, Floats, Allocation]]


def advert_free(auction: Numbers) -> Allocation:
    """π_∅: the allocation if nobody took part."""
    return allocate(auction.log_q, auction.log_ref, auction.rewards[:0], auction.tau)


def what_joining_brings(auction: Numbers) -> Floats:
    """[N] τ·KL(π₋ᵢ ‖ π): the gain of each over being absent, all others present."""
    solved = auction.solve()
    possible = solved.log_pi > -np.inf
    log_pi, log_without = solved.log_pi[possible], solved.log_pi_without[:, possible]
    return auction.tau * np.asarray((np.exp(log_without) * (log_without - log_pi)).sum(axis=1))


def exact_gate(auction: Numbers, fee: float) -> tuple[np.ndarray, Floats, Allocation]:
    gated = gate(auction.log_q, auction.log_ref, auction.rewards, auction.tau, fee)
    return gated.admitted, gated.charges, gated.allocation


def naive_gate(auction: Numbers, fee: float) -> tuple[np.ndarray, Floats, Allocation]:
    """Each for itself: in if joining all the others brings the fee."""
    return _settle(auction, what_joining_brings(auction) >= fee, lambda charges: charges + fee)


def drop_below(auction: Numbers, floor: float) -> tuple[np.ndarray, Floats, Allocation]:
    return _settle(auction, as_billed(auction).prices >= floor, lambda charges: charges)


def charge_at_least(auction: Numbers, floor: float) -> tuple[np.ndarray, Floats, Allocation]:
    return _settle(auction, as_billed(auction).prices >= 0, lambda charges: np.maximum(charges, floor))


def charge_at_most(auction: Numbers, budget: float) -> tuple[np.ndarray, Floats, Allocation]:
    return _settle(auction, as_billed(auction).prices >= 0, lambda charges: np.minimum(charges, budget))


def drop_above(auction: Numbers, budget: float) -> tuple[np.ndarray, Floats, Allocation]:
    return _settle(auction, as_billed(auction).prices <= budget, lambda charges: charges)


def utility(
    rule: Rule, auction: Numbers, limit: float, advertiser: int, truth: Floats, *, absent_gets_the_reply: bool = False
) -> float:
    """Expected true reward minus charge; absence is worth the advert-free reply unless told otherwise."""
    admitted, charges, allocation = rule(auction, limit)
    if not (admitted[advertiser] or absent_gets_the_reply):
        return float(advert_free(auction).pi @ truth)
    return float(allocation.pi @ truth - charges[advertiser])


def lies(truth: Floats, tau: float, rng: np.random.Generator) -> list[Floats]:
    """Random, scaled, flipped, one-hot and swapped reports."""
    size, m = np.abs(truth).max() + tau, len(truth)
    scaled = [factor * truth for factor in (-2.0, -1.0, 0.0, 0.5, 0.9, 1.1, 2.0, 5.0, 10.0, 30.0)]
    noisy = [truth + width * size * rng.normal(size=m) for width in (0.01, 0.1, 0.3, 1.0, 3.0) for _ in range(3)]
    one_hot = [size * height * row for height in (0.1, 1.0, 3.0) for row in np.eye(m)]
    swapped = [truth[np.roll(np.arange(m), by)] for by in range(1, min(m, 4))]
    return [*scaled, *noisy, *one_hot, *swapped, truth + 3 * tau, truth - 3 * tau]


def largest_gain(
    rule: Rule, auction: Numbers, limit: float, rng: np.random.Generator, *, absent_gets_the_reply: bool = False
) -> float:
    """What the best lie found brings the first advertiser, micros."""
    truth = auction.rewards[0]

    def worth(report: Floats) -> float:
        told = Numbers(auction.log_q, auction.log_ref, np.vstack([report, auction.rewards[1:]]), auction.tau)
        return utility(rule, told, limit, 0, truth, absent_gets_the_reply=absent_gets_the_reply)

    honest = worth(truth)
    return max(worth(lie) for lie in lies(truth, auction.tau, rng)) - honest


def _settle(
    auction: Numbers, admitted: np.ndarray, price: Callable[[Floats], Floats]
) -> tuple[np.ndarray, Floats, Allocation]:
    """The plain auction of the admitted, each charge changed by `price`."""
    allocation = allocate(auction.log_q, auction.log_ref, auction.rewards[admitted], auction.tau)
    charges = np.zeros(len(admitted))
    charges[admitted] = price(auction.tau * allocation.influence)
    return admitted, charges, allocation
