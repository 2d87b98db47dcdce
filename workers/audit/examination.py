"""One complete auction, every check in turn: the scored event against the reply it led to and the bills."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.billing import AdvertiserCharged
from schemas.reasons import VoidReason
from schemas.reply import ReplySettled
from workers.audit.auction import LoggedAuction
from workers.audit.bills import BillCheck, bills_due
from workers.audit.charges import Amounts
from workers.audit.draw_keys import Keys
from workers.audit.exact import Exact
from workers.audit.findings import Check, Finding, Kind, Tally
from workers.audit.recompute import Solved, solve
from workers.audit.replies import ReplyCheck


@dataclass(frozen=True, slots=True)
class LoggedReply:
    """A settled event of the log. `at`: its place there."""

    settled: ReplySettled
    sha256: str
    at: int


def examine(
    tally: Tally, keys: Keys, auction: LoggedAuction, reply: LoggedReply, bills: Sequence[AdvertiserCharged]
) -> None:
    """Report everything that is wrong with the auction to `tally`, and its draw to `keys`."""
    auction = _as_claimed(tally, auction, reply.settled)
    check = ReplyCheck(tally, auction, reply.settled)
    check.fields()
    check.evidence()
    _ranges(tally, auction)
    found = BillCheck(check, reply.sha256, bills_due(check), bills)
    found.bills_are_those_due()
    if not auction.parties:
        check.unsold()
        return
    solved = solve(auction)
    chosen = _sold(check, found, solved, keys, reply.at)
    found.charges(Amounts(auction, solved, Exact(auction)), chosen)


def _as_claimed(tally: Tally, auction: LoggedAuction, settled: ReplySettled) -> LoggedAuction:
    """Where the log does not say when the broker took the scored event, the reply is believed that it was late."""
    if not auction.perhaps_late:
        return auction
    tally.unverifiable[Check.REPLIES] += 1
    return auction.if_late() if settled.void_reason is VoidReason.LATE else auction


def _sold(check: ReplyCheck, bills: BillCheck, solved: Solved, keys: Keys, at: int) -> int | None:
    """The reply of an auction that was held; the place of the chosen candidate."""
    drawn = check.drawn()
    if drawn is None:
        return None
    draw, chosen = drawn
    check.allocation(solved)
    check.choice(draw, chosen)
    check.sponsors(solved, [(due.place, due.bidder) for due in bills.due], chosen)
    keys.drawn(check.auction, draw, at)
    return chosen


def _ranges(tally: Tally, auction: LoggedAuction) -> None:
    """Rewards lie in the range that was declared before they were known."""
    for party in auction.parties:
        for member, row in zip(party.members, party.rewards, strict=True):
            bidder = auction.bidders[member]
            least, largest = min(row), max(row)
            if least < bidder.least_micros or largest > bidder.largest_micros:
                logged, right = f"{least} to {largest}", f"{bidder.least_micros} to {bidder.largest_micros}"
                what, id_ = "rewards of the scored event", bidder.advertiser_id
                kind = Kind.REWARD_OUT_OF_RANGE
                tally.find(Finding(kind, auction.query_id, auction.auction_id, what, logged, right, id_))
