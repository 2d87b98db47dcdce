"""One sold auction from its events, with what its bidders did to it worked out again (mechanism/README §11)."""

from dataclasses import dataclass

from schemas.auction import Bidder, CandidatesScored
from schemas.billing import AdvertiserCharged
from schemas.envelope import Event
from schemas.reply import Draw, ReplySettled
from workers.bids import bids, numbers
from workers.draw_keys import Committed
from workers.errors import ReceiptError
from workers.mechanism.allocation import Allocation, Floats
from workers.mechanism.epochs import EpochKey
from workers.mechanism.payments import billable


@dataclass(frozen=True, slots=True)
class KnownKey:
    """The key of the auction's epoch. `public`: it was revealed, so that a receipt may show it."""

    key: EpochKey
    public: bool


@dataclass(frozen=True)
class Sale:
    """The events of an auction that was sold. ReceiptError when they do not belong together."""

    scored: Event[CandidatesScored]
    settled: Event[ReplySettled]
    bills: tuple[Event[AdvertiserCharged], ...]  # in the order of the settled reply's charge_ids
    committed: Committed | None = None
    known: KnownKey | None = None

    def __post_init__(self) -> None:
        reply = self.settled.data
        if reply.draw is None or reply.chosen_index is None:
            raise ReceiptError(f"query {reply.query_id} was not sold: there is no charge to receipt")
        if reply.draw.scored_sha256 != self.scored.digest:
            raise ReceiptError(f"the reply to {reply.query_id} names another scored event than the one that is there")
        if tuple(bill.data.charge_id for bill in self.bills) != reply.charge_ids:
            raise ReceiptError(f"the bills of {reply.query_id} are not those that its reply names")
        if any(bill.data.settled_sha256 != self.settled.digest for bill in self.bills):
            raise ReceiptError(f"a bill of {reply.query_id} names another settled event than the one that is there")

    @property
    def draw(self) -> Draw:
        if self.settled.data.draw is None:
            raise ReceiptError("an auction that was not sold has no draw")
        return self.settled.data.draw

    @property
    def chosen(self) -> int:
        return int(self.settled.data.chosen_index or 0)


@dataclass(frozen=True, slots=True)
class Party:
    """Advertisers that bid as one, in event order; the first carries the charge."""

    members: tuple[Bidder, ...]

    @property
    def payer(self) -> str:
        return self.members[0].advertiser_id


@dataclass(frozen=True, slots=True)
class Worked:
    """The auction worked out again; row k of the allocation is party k."""

    parties: tuple[Party, ...]
    allocation: Allocation
    charges: Floats  # [K] micros before rounding


def work_out(sale: Sale) -> Worked:
    """Allocation and charges of a sale, from the logged numbers and nothing that settlement made of them."""
    scored = sale.scored.data
    bidders, grouped = bids(scored)
    logged = numbers(scored, grouped)
    allocation = logged.solve()
    parties = tuple(Party(tuple(bidders[place] for place in places)) for places in grouped.members)
    charges = billable(scored.payment_rule).price(logged, allocation, sale.chosen)
    return Worked(parties, allocation, charges)
