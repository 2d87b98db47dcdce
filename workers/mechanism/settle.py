"""One auction settled: allocation, charges and draw, as a pure function of its numbers and the draw's key."""

from dataclasses import dataclass

from workers.mechanism.allocation import Allocation, Numbers
from workers.mechanism.draw import DrawnCandidate, choose
from workers.mechanism.payments import billable, whole_micros


@dataclass(frozen=True, slots=True)
class Auction:
    """One auction as logged: its numbers, how it is charged, and what its draw depends on."""

    auction_id: str
    scored_digest: str  # SHA-256 of the scored event's value, hexadecimal
    numbers: Numbers
    payment_rule: str
    query: tuple[str, ...] = ()  # where the query stands and the SHA-256 of its bytes; none: draw-v1


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who gets how much say, who pays what, and which candidate is the reply."""

    allocation: Allocation
    charges: tuple[int, ...]  # [N] micros
    choice: DrawnCandidate


def settle(auction: Auction, key: bytes) -> Outcome:
    """Settle an auction of at least one candidate with the epoch's draw key; a pure function.

    InvalidAuction: its numbers are none. NotBillable: its payment rule cannot be billed.
    """
    rule, numbers = billable(auction.payment_rule), auction.numbers
    allocation = numbers.solve()
    choice = choose(allocation.pi, key, auction.auction_id, auction.scored_digest, auction.query)
    return Outcome(allocation, whole_micros(rule.price(numbers, allocation, choice.index)), choice)
