"""Checks of credits: each is of a bill in the log, says what the bill says, and all of a bill never exceed it.

Credits are given first, bills as they come: memory holds the credits, which are few, and no bill.
"""

from dataclasses import dataclass, field

from schemas.billing import AdvertiserCharged, AdvertiserCredited
from schemas.identity import derive
from workers.audit.findings import Check, Finding, Kind, Tally

COPIED = (
    "query_id",
    "auction_id",
    "advertiser_id",
    "name",
    "currency",
    "charge_micros",
    "submitted_at",
)


@dataclass
class CreditCheck:
    """`billed_from`: bills of queries submitted before may have been deleted, milliseconds.

    `bills_follow`: no bill is given before the last credit; else a credit whose bill is not met is not verifiable.
    """

    tally: Tally
    bills_follow: bool = False
    billed_from: int = 0
    _of_charge: dict[str, list[AdvertiserCredited]] = field(default_factory=dict)
    _met: set[str] = field(default_factory=set)  # charges with credits, whose bill was met

    def credited(self, credit: AdvertiserCredited) -> None:
        """A credit, in the order of its topic."""
        self.tally.checked[Check.CREDITS] += 1
        known = self._of_charge.setdefault(credit.charge_id, [])
        if any(credit.credit_id == one.credit_id for one in known):
            self._report(Kind.DOUBLE_CREDIT, credit, "the same credit once more", credit.credit_id, "one")
            return
        known.append(credit)
        right = derive("credit", credit.charge_id, credit.credit_key)
        if credit.credit_id != right:
            self._report(Kind.WRONG_CREDIT_ID, credit, "credit_id", credit.credit_id, right)

    def billed(self, bill: AdvertiserCharged, sha256: str) -> None:
        """A bill; most have no credits."""
        if bill.charge_id not in self._of_charge or bill.charge_id in self._met:
            return
        self._met.add(bill.charge_id)
        credits = self._of_charge[bill.charge_id]
        for credit in credits:
            self._copied(credit, bill, sha256)
        total = sum([credit.credit_micros for credit in credits])
        if total > bill.charge_micros:
            self._report(Kind.ABOVE_CHARGE, credits[-1], "credits in micros", total, f"at most {bill.charge_micros}")

    def finish(self) -> None:
        """What was credited without a bill."""
        for charge_id, credits in self._of_charge.items():
            for credit in credits if charge_id not in self._met else ():
                self._without_bill(credit)

    def _copied(self, credit: AdvertiserCredited, bill: AdvertiserCharged, sha256: str) -> None:
        pairs = [(name, getattr(credit, name), getattr(bill, name)) for name in COPIED]
        for name, logged, right in (*pairs, ("charged_sha256", credit.charged_sha256, sha256)):
            if logged != right:
                self._report(Kind.WRONG_CREDIT_FIELD, credit, f"{name} of the credit", logged, right)

    def _without_bill(self, credit: AdvertiserCredited) -> None:
        if self.bills_follow and credit.submitted_at.timestamp() * 1_000 >= self.billed_from:
            self._report(Kind.UNKNOWN_CHARGE, credit, "a credit of a charge", credit.charge_id, "a bill in the log")
        else:
            self.tally.unverifiable[Check.CREDITS] += 1

    def _report(self, kind: Kind, credit: AdvertiserCredited, what: str, logged: object, right: object) -> None:
        place = credit.query_id, credit.auction_id
        self.tally.find(Finding(kind, *place, what, str(logged), str(right), credit.advertiser_id))
