"""An advertiser's statement from the events of a log, in whatever order they come; lines and sums are counted apart."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from schemas.auction import CandidatesScored
from schemas.billing import AdvertiserCharged, AdvertiserCredited
from schemas.envelope import Event
from schemas.payload import Payload
from schemas.reply import ReplySettled
from schemas.statement import Statement, StatementCredit, StatementLine, StatementTotals
from workers.errors import TesseraError
from workers.ledger.amounts import money
from workers.ledger.book import Book
from workers.ledger.entries import charge_entry, credit_entry
from workers.receipts.lift import Lift, lift_of
from workers.receipts.words import counted

MOST_LINES = 100_000


@dataclass(frozen=True, slots=True)
class Period:
    """From `begin` on and before `end`; None: without that limit."""

    begin: datetime | None = None
    end: datetime | None = None

    def is_after(self, at: datetime) -> bool:
        return self.end is not None and at >= self.end

    def is_before(self, at: datetime) -> bool:
        return self.begin is not None and at < self.begin

    def holds(self, at: datetime) -> bool:
        return not self.is_before(at) and not self.is_after(at)


@dataclass
class StatementLog:
    """What a log holds for one advertiser's statement. Bills of other advertisers are passed over."""

    advertiser_id: str
    period: Period = field(default_factory=Period)
    book: Book = field(default_factory=Book)
    opening_micros: Counter[str] = field(default_factory=Counter)  # by currency
    _bills: dict[str, Event[AdvertiserCharged]] = field(default_factory=dict)  # of the period, by charge
    _credits: dict[str, Event[AdvertiserCredited]] = field(default_factory=dict)  # of the period
    _charged: dict[str, int] = field(default_factory=dict)  # what is left of each charge with a credit, micros
    _replies: dict[str, ReplySettled] = field(default_factory=dict)  # by digest
    _lifts: dict[str, Lift] = field(default_factory=dict)  # by digest of the scored event
    _names: dict[str, str] = field(default_factory=dict)  # the last one by currency

    def add(self, event: Event[Payload], offset: int) -> None:
        """An event of the log. `offset`: where it stands in its partition, or its line.

        TesseraError: the period has more than MOST_LINES charges.
        """
        data = event.data
        if isinstance(data, AdvertiserCharged) and data.advertiser_id == self.advertiser_id:
            self._add_bill(event, data, offset)  # type: ignore[arg-type]  # narrowed by its data
        elif isinstance(data, AdvertiserCredited) and data.advertiser_id == self.advertiser_id:
            self._add_credit(event, data, offset)  # type: ignore[arg-type]  # narrowed by its data
        elif isinstance(data, ReplySettled):
            if any(one.advertiser_id == self.advertiser_id for one in data.sponsors):
                self._replies[event.digest] = data
        elif isinstance(data, CandidatesScored) and (lift := lift_of(data, self.advertiser_id)):
            self._lifts[event.digest] = lift

    @property
    def query_ids(self) -> set[str]:
        """Of the period's charges: whose replies and numbers are wanted."""
        return {bill.data.query_id for bill in self._bills.values()}

    @property
    def currencies(self) -> list[str]:
        """In which the advertiser has an account."""
        return sorted({currency for _, currency in self.book.accounts})

    def _add_bill(self, event: Event[AdvertiserCharged], bill: AdvertiserCharged, offset: int) -> None:
        at = event.taken_at
        if self.period.is_after(at) or not self.book.add(charge_entry(bill, offset)):
            return
        self._names[bill.currency] = bill.name
        if self.period.is_before(at):
            self.opening_micros[bill.currency] += bill.charge_micros
        else:
            self._bills[bill.charge_id] = event
        if len(self._bills) > MOST_LINES:
            raise TesseraError(
                f"{self.advertiser_id} has more than {MOST_LINES:,} charges in that time: choose a shorter one with "
                "--from and --to"
            )

    def _add_credit(self, event: Event[AdvertiserCredited], credit: AdvertiserCredited, offset: int) -> None:
        at = event.taken_at
        if self.period.is_after(at) or not self.book.add(credit_entry(credit, offset)):
            return
        self._charged[credit.charge_id] = self._charged.get(credit.charge_id, credit.charge_micros)
        self._charged[credit.charge_id] -= credit.credit_micros
        self._names.setdefault(credit.currency, credit.name)
        if self.period.is_before(at):
            self.opening_micros[credit.currency] -= credit.credit_micros
        else:
            self._credits[credit.credit_id] = event

    def statement(self, currency: str) -> Statement:
        """The statement in one of its currencies."""
        bills = [bill for bill in self._bills.values() if bill.data.currency == currency]
        lines = tuple(self._line(bill) for bill in sorted(bills, key=_moment))
        events = [credit for credit in self._credits.values() if credit.data.currency == currency]
        credits = tuple(_credit(credit) for credit in sorted(events, key=_moment))
        totals = self._totals(currency, lines, credits)
        return Statement(
            advertiser_id=self.advertiser_id,
            name=self._names[currency],
            currency=currency,
            begin=self.period.begin,
            end=self.period.end,
            lines=lines,
            credits=credits,
            totals=totals,
            problems=tuple([*self._unlike(bills), *self._exceeded(), *self._unbalanced(totals, currency)]),
        )

    def _line(self, event: Event[AdvertiserCharged]) -> StatementLine:
        bill, lift = event.data, self._lifts.get(event.data.scored_sha256)
        reply = self._replies.get(bill.settled_sha256)
        return StatementLine(
            charge_id=bill.charge_id,
            query_id=bill.query_id,
            charged_at=event.taken_at,
            submitted_at=bill.submitted_at,
            reply=reply.reply if reply else None,
            probability_with=bill.probability_with,
            probability_without=bill.probability_without,
            named_with=lift.named_with if lift else None,
            named_without=lift.named_without if lift else None,
            charge_micros=bill.charge_micros,
            bill_sha256=event.digest,
        )

    def _totals(
        self, currency: str, lines: tuple[StatementLine, ...], credits: tuple[StatementCredit, ...]
    ) -> StatementTotals:
        measured = [line for line in lines if line.named_with is not None]
        return StatementTotals(
            charges=len(lines),
            charged_micros=sum(line.charge_micros for line in lines),
            credits=len(credits),
            credited_micros=sum(credit.credit_micros for credit in credits),
            opening_balance_micros=self.opening_micros[currency],
            closing_balance_micros=self.book.accounts[self.advertiser_id, currency].balance_micros,
            measured=len(measured),
            mean_named_with=_mean([line.named_with or 0.0 for line in measured]),
            mean_named_without=_mean([line.named_without or 0.0 for line in measured]),
        )

    def _unlike(self, bills: list[Event[AdvertiserCharged]]) -> Iterator[str]:
        """Bills that the reply which they name does not know, or knows other probabilities of."""
        for bill in (event.data for event in bills):
            reply = self._replies.get(bill.settled_sha256)
            if reply is None:
                continue
            if bill.charge_id not in reply.charge_ids:
                yield f"the reply to {bill.query_id} does not list the charge {bill.charge_id}"
            told = next(one for one in reply.sponsors if one.advertiser_id == bill.advertiser_id)
            if (told.probability_with, told.probability_without) != (bill.probability_with, bill.probability_without):
                yield f"the reply to {bill.query_id} discloses other probabilities than its bill"

    def _exceeded(self) -> Iterator[str]:
        for charge_id, left in self._charged.items():
            if left < 0:
                yield f"more was credited of charge {charge_id} than it was"

    def _unbalanced(self, totals: StatementTotals, currency: str) -> Iterator[str]:
        """The lines against the account, which the ledger folded apart; and records that came twice."""
        said = totals.opening_balance_micros + totals.charged_micros - totals.credited_micros
        if said != totals.closing_balance_micros:
            account = money(totals.closing_balance_micros, currency)
            yield f"the lines come to {money(said, currency)}, the account to {account}"
        if self.book.repeated:
            yield f"{counted(self.book.repeated, 'bill or credit', 'bills or credits')} came twice, and once is counted"


def _moment(event: Event[Payload]) -> datetime:
    return event.taken_at


def _credit(event: Event[AdvertiserCredited]) -> StatementCredit:
    credit = event.data
    return StatementCredit(
        credit_id=credit.credit_id,
        charge_id=credit.charge_id,
        query_id=credit.query_id,
        credited_at=event.taken_at,
        credit_micros=credit.credit_micros,
        reason=credit.reason,
    )


def _mean(values: list[float]) -> float | None:
    return min(1.0, sum(values) / len(values)) if values else None
