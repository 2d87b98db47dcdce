"""Checks of an auction's bills: whether they are all there and none besides, their terms, and every charge."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from schemas.billing import AdvertiserCharged
from schemas.identity import derive
from workers.audit.auction import LoggedBidder
from workers.audit.charges import Amounts, Correctness, bound_of, check_charge
from workers.audit.findings import Check, Kind
from workers.audit.recompute import Solved
from workers.audit.replies import ReplyCheck

LINE = "influence"  # the line of the bill: part of the charge's id
BELOW_ZERO = -(0.5 + 1e-6)  # what rounding may cost an advertiser, micros


@dataclass(frozen=True, slots=True)
class Due:
    """A bill that must be there."""

    charge_id: str
    place: int  # of the party
    bidder: LoggedBidder
    pays: bool  # the first of the party
    bound_micros: int


def bills_due(reply: ReplyCheck) -> list[Due]:
    """One for each member of each party, in the order of the bidders."""
    auction, found = reply.auction, []
    for place, party in enumerate(auction.parties):
        for member in party.members:
            bidder, pays = auction.bidders[member], member == party.payer
            charge_id = derive("charge", auction.auction_id, bidder.advertiser_id, LINE)
            bound = bound_of(auction, party.members) if pays else 0
            found.append((member, Due(charge_id, place, bidder, pays, bound)))
    return [due for _, due in sorted(found, key=lambda pair: pair[0])]


@dataclass
class BillCheck:
    """The bills of one auction against those that are due."""

    reply: ReplyCheck
    settled_sha256: str
    due: Sequence[Due]
    bills: Sequence[AdvertiserCharged]

    def bills_are_those_due(self) -> None:
        """None missing, none besides, and each with the terms of its auction."""
        tally, by_id = self.reply.tally, {bill.charge_id: bill for bill in self.bills}
        tally.checked[Check.BILLS] += len(self.due) or 1
        self._listed()
        for due in self.due:
            bill = by_id.pop(due.charge_id, None)
            if bill is None:
                self._report(Kind.MISSING_CHARGE, "the bill", "none", due.charge_id, due)
            else:
                self._terms(bill, due)
        for extra in by_id.values():
            self._extra(extra)

    def _report(self, kind: Kind, what: str, logged: object, right: object, due: Due) -> None:
        self.reply.report(kind, what, logged, right, due.bidder.advertiser_id)

    def _listed(self) -> None:
        reply, settled = self.reply, self.reply.settled
        if settled.charge_ids != (right := tuple([due.charge_id for due in self.due])):
            reply.report(Kind.WRONG_CHARGE_IDS, "charge_ids", settled.charge_ids, right)
        if not self.due and settled.total_charge_micros:
            reply.report(Kind.WRONG_TOTAL, "total_charge_micros", settled.total_charge_micros, 0)

    def _extra(self, bill: AdvertiserCharged) -> None:
        what = f"a bill of {bill.charge_micros} micros that nobody owes"
        self.reply.report(Kind.EXTRA_CHARGE, what, bill.charge_id, "no bill", bill.advertiser_id)

    def _terms(self, bill: AdvertiserCharged, due: Due) -> None:
        """What a bill copies from the events it follows from."""
        auction, bidder, tally = self.reply.auction, due.bidder, self.reply.tally
        tally.checked[Check.TERMS] += 1
        tally.checked[Check.EVIDENCE] += 1
        for kind, name, logged, right in (
            (Kind.WRONG_DEBTOR, "advertiser_id", bill.advertiser_id, bidder.advertiser_id),
            (Kind.OTHER_SCORED_EVENT, "scored_sha256", bill.scored_sha256, auction.digest),
            (Kind.OTHER_SETTLED_EVENT, "settled_sha256", bill.settled_sha256, self.settled_sha256),
            (Kind.WRONG_TAU, "tau_micros_per_nat", bill.tau_micros_per_nat, auction.tau),
            (Kind.WRONG_CURRENCY, "currency", bill.currency, auction.currency),
            (Kind.WRONG_RULE, "payment_rule", bill.payment_rule, auction.payment_rule),
            (Kind.WRONG_BOUND, "bound_micros", bill.bound_micros, due.bound_micros),
            (Kind.WRONG_BILL_FIELD, "name", bill.name, bidder.name),
            (Kind.WRONG_BILL_FIELD, "query_id", bill.query_id, auction.query_id),
            (Kind.WRONG_BILL_FIELD, "link_group", bill.link_group, bidder.link_group),
            (Kind.WRONG_BILL_FIELD, "submitted_at", bill.submitted_at, auction.submitted_at),
        ):
            if logged != right:
                self._report(kind, f"{name} of the bill", logged, right, due)

    def charges(self, amounts: Amounts, chosen: int | None) -> None:
        """Amount, odds and properties of each bill that is there."""
        by_id, owed = {bill.charge_id: bill for bill in self.bills}, 0
        for due in self.due:
            if (bill := by_id.get(due.charge_id)) is not None:
                if chosen is not None:
                    self._odds(bill, due, amounts.solved, chosen)
                owed += self._charge(bill, due, amounts)
                self._properties(bill, due, amounts.solved)
        if len(by_id) == len(self.due):
            self._total(owed)

    def _total(self, owed: int) -> None:
        """The reply's total is what is owed. One that only repeats a wrong bill is no second finding."""
        total = self.reply.settled.total_charge_micros
        if total not in (owed, sum([bill.charge_micros for bill in self.bills])):
            self.reply.report(Kind.WRONG_TOTAL, "total_charge_micros", total, owed)

    def _odds(self, bill: AdvertiserCharged, due: Due, solved: Solved, chosen: int) -> None:
        self.reply.tally.checked[Check.DISCLOSURE] += 1
        odds = solved.probabilities[chosen], solved.odds_without(due.place, chosen)
        claimed = bill.probability_with, bill.probability_without
        tolerance = self.reply.tolerance(solved)
        if abs(odds[0] - claimed[0]) > tolerance or abs(odds[1] - claimed[1]) > tolerance:
            self._report(Kind.WRONG_ODDS, "odds of the bill", claimed, odds, due)

    def _charge(self, bill: AdvertiserCharged, due: Due, amounts: Amounts) -> int:
        """What is owed, micros: what was billed if that is right."""
        tally, charge = self.reply.tally, bill.charge_micros
        tally.checked[Check.CHARGES] += 1
        if not due.pays:
            if charge:
                self._report(Kind.WRONG_CHARGE, "the first of the party pays, not this one", charge, 0, due)
            return 0
        checked = check_charge(charge, amounts.of(due.place))
        tally.notes["by_decimal"] += checked.by_decimal
        tally.notes["imprecise"] += checked.correctness is Correctness.IMPRECISE
        if checked.correctness is Correctness.WRONG:
            right = f"{round(checked.right)} ({Decimal(checked.right):.6f} before rounding)"
            self._report(Kind.WRONG_CHARGE, "charge in micros", charge, right, due)
            return round(checked.right)
        return charge

    def _properties(self, bill: AdvertiserCharged, due: Due, solved: Solved) -> None:
        """What the theorems promise, on the charge as it was logged."""
        tally, charge, row = self.reply.tally, bill.charge_micros, solved.shares[due.place]
        tally.checked[Check.PROPERTIES] += 1
        if charge > due.bound_micros:
            self._report(Kind.ABOVE_BOUND, "charge in micros", charge, f"at most {due.bound_micros}", due)
        if not due.pays:
            return
        if charge and not any(row):
            self._report(Kind.INDIFFERENT_CHARGED, "charge where all replies are alike", charge, 0, due)
        elif charge > (worth := self._worth(due.place, solved)) - BELOW_ZERO:
            self._report(Kind.WORSE_OFF, "charge in micros", charge, f"at most its worth, {worth:.6f}", due)

    def _worth(self, place: int, solved: Solved) -> float:
        """π·r − π₋ᵢ·r, micros, rounded up by its error: what taking part is worth before it is paid for."""
        row, without = solved.shares[place], solved.mean_without(place)
        error = solved.mean_bounds[place] + 2 * solved.odds_bound * (max(row) - min(row))
        return self.reply.auction.tau * (solved.means[place] - without + error) + 2 * solved.bounds[place]
