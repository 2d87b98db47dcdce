"""Is a charge right: within half a micro of the exact value, decided in float64 where its error bound allows.

A charge is *right* within ½ + 1e-6 micros of the exact value. Where rewards are so large against τ that float64
itself is coarser than that, a charge that is off by no more than twice the forward error bound is *imprecise*: counted,
but no discrepancy, because a faithful settlement in float64 can arrive at it. At the sizes of ordinary auctions (100
nats, rewards up to 0.1 units of money) the bound is below 1e-7 micros: one micro too much or too little is found.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from workers.audit.auction import LoggedAuction
from workers.audit.exact import Exact
from workers.audit.recompute import UNIT, Solved

HALF = 0.5 + 1e-6
EXACT_HALF = Decimal("0.500001")


class Correctness(Enum):
    RIGHT = "right"
    IMPRECISE = "imprecise"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Amount:
    """What float64 makes of a charge before rounding, micros, and how far from the exact value it may be."""

    value: float
    bound: float
    allowance: float  # how far off a faithful settlement in float64 may be
    exact: Callable[[], Decimal]


@dataclass(frozen=True, slots=True)
class CheckedCharge:
    correctness: Correctness
    right: float | Decimal  # before rounding
    by_decimal: bool


def check_charge(charge: int, amount: Amount) -> CheckedCharge:
    """Float64 where the bound leaves no doubt, else 50 digits."""
    distance = abs(charge - amount.value)
    if distance + amount.bound <= HALF:
        return CheckedCharge(Correctness.RIGHT, amount.value, False)
    if distance - amount.bound > HALF + amount.allowance:
        return CheckedCharge(Correctness.WRONG, amount.value, False)
    right = amount.exact()
    off = abs(charge - right)
    if off <= EXACT_HALF:
        return CheckedCharge(Correctness.RIGHT, right, True)
    imprecise = off <= EXACT_HALF + Decimal(amount.allowance)
    return CheckedCharge(Correctness.IMPRECISE if imprecise else Correctness.WRONG, right, True)


@dataclass(frozen=True, slots=True)
class Amounts:
    """The charges of one auction's parties."""

    auction: LoggedAuction
    solved: Solved
    exact: Exact

    def of(self, party: int) -> Amount:
        """The charge of one party."""
        bound = self.solved.bounds[party]
        allowance = 2 * bound + coarseness(self.auction, self.solved)
        return Amount(self.solved.charges[party], bound, allowance, lambda: self.exact.charge(party))


def coarseness(auction: LoggedAuction, solved: Solved) -> float:
    """Micros by which groups let a float64 settlement stray: it adds rewards with their constants still in."""
    if not auction.has_groups:
        return 0.0
    widest = max([max(row) - min(row) for row in solved.shares])
    return auction.tau * raw_error(auction) * (1.0 + widest)


def raw_error(auction: LoggedAuction) -> float:
    """Nats by which a score may be off that is summed from rewards with their constants."""
    sizes = [max(max(row), -min(row)) for party in auction.parties for row in party.rewards]
    return 4 * (len(sizes) + 4) * UNIT * sum(sizes) / auction.tau


def bound_of(auction: LoggedAuction, members: Sequence[int]) -> int:
    """The most the party's payer can be charged, micros: min(Δ, ⌈Δ²/8τ⌉)."""
    spread = sum([auction.bidders[one].largest_micros - auction.bidders[one].least_micros for one in members])
    return min(spread, -(-spread * spread // (8 * auction.tau)))
