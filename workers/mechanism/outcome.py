"""One auction settled: allocation, charges and draw, as a pure function of its numbers and the draw's key."""

from dataclasses import dataclass

from workers.mechanism.allocation import Allocation, Floats, allocate
from workers.mechanism.draw import Choice, choose
from workers.mechanism.payments import RULES


@dataclass(frozen=True, slots=True)
class Auction:
    """The numbers of one auction, as logged."""

    auction_id: str
    scored_digest: str  # SHA-256 of the scored event's value, hexadecimal
    log_q: Floats  # [M] nats
    log_ref: Floats  # [M] nats
    rewards: Floats  # [N, M] micros
    tau: int  # micros per nat
    payment_rule: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who gets how much say, who pays what, and which candidate is the reply."""

    allocation: Allocation
    charges: tuple[int, ...]  # [N] micros
    choice: Choice


def settle(auction: Auction, key: bytes) -> Outcome:
    """Settle an auction of at least one candidate. InvalidAuction; KeyError for a rule that cannot be billed."""
    allocation = allocate(auction.log_q, auction.log_ref, auction.rewards, auction.tau)
    charges = RULES[auction.payment_rule](allocation, auction.tau)
    return Outcome(allocation, charges, choose(allocation.pi, key, auction.auction_id, auction.scored_digest))
