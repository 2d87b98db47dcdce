"""The fold of accounts: replays and redeliveries change nothing, and both sides of the book are equal."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.builders import make_scored, make_settled
from workers.ledger.account import Account, fold
from workers.ledger.book import Book, postings
from workers.ledger.entries import LedgerEntry, charge_entry
from workers.ledger.recent_ids import GENERATION, GENERATIONS

EMPTY = Account("ovennest", "USD")


def entry(number: int, micros: int = 7, kind: str = "charge", **changes: object) -> LedgerEntry:
    fields = {"kind": kind, "id": f"{kind}-{number}", "advertiser_id": "ovennest", "currency": "USD"}
    return LedgerEntry(**{**fields, "micros": micros, "offset": 2 * number, **changes})  # type: ignore[arg-type]


def folded(*entries: LedgerEntry) -> Account:
    account = EMPTY
    for one in entries:
        account = fold(account, one)
    return account


def test_a_charge_adds_and_a_credit_takes_away() -> None:
    account = folded(entry(0, 100), entry(1, 50), entry(0, 30, "credit"))

    assert (account.charged_micros, account.credited_micros, account.balance_micros) == (150, 30, 120)
    assert (account.charges, account.credits) == (2, 1)


def test_a_bill_of_settlement_is_counted_to_the_micro_and_zero_charges_count() -> None:
    _, bills = make_settled(make_scored(3))
    bill = bills[0].data

    account = fold(Account(bill.advertiser_id, "USD"), charge_entry(bill, 5))
    after = fold(account, entry(1, 0, advertiser_id=bill.advertiser_id))

    assert account.charged_micros == bill.charge_micros
    assert (after.charged_micros, after.charges) == (bill.charge_micros, 2)


def test_an_entry_of_another_account_is_refused() -> None:
    with pytest.raises(ValueError, match="is not of the account ovennest USD"):
        fold(EMPTY, entry(0, currency="EUR"))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_redeliveries_from_any_earlier_offset_change_nothing(seed: int) -> None:
    """A reader that goes back, as often and as far as it likes, and reads on from there in order."""
    rng = random.Random(seed)
    entries = [entry(number, rng.randrange(10**9), rng.choice(("charge", "credit"))) for number in range(700)]
    account, next_ = EMPTY, 0
    while next_ < len(entries):
        end = min(len(entries), next_ + rng.randrange(1, 400))
        for one in entries[max(0, next_ - rng.choice((0, 1, 40, 700))) : end]:
            account = fold(account, one)
        next_ = end

    assert account == folded(*entries)
    assert account.balance_micros == sum(one.micros if one.kind == "charge" else -one.micros for one in entries)


def test_what_was_counted_is_the_same_object() -> None:
    account = folded(entry(0), entry(1))

    assert fold(account, entry(0)) is account


def test_the_same_charge_at_another_offset_is_counted_once() -> None:
    account = folded(entry(0), entry(1))

    assert fold(account, entry(0, offset=77)) is account


def test_a_record_that_was_passed_over_is_counted_when_it_comes_again() -> None:
    """Faust drops one now and then while it suspends, and gets it again after its next start."""
    account = folded(entry(0), entry(2), entry(3), entry(1))

    assert account.charges == 4


def test_memory_is_bounded() -> None:
    account = folded(*(entry(number) for number in range(5_000)))

    held = sum(map(len, account.counted_charges.generations))
    assert (GENERATIONS - 1) * GENERATION <= held <= GENERATIONS * GENERATION
    assert len(account.counted_charges.newest) == len(account.counted_charges.generations)
    assert account.counted_charges.forgotten < 2 * 4_999


def test_the_postings_of_an_entry_are_zero_together() -> None:
    for kind in ("charge", "credit"):
        assert sum(posting.micros for posting in postings(entry(0, 10**15 - 1, kind))) == 0


def test_what_advertisers_owe_is_the_revenue() -> None:
    rng, book, owed = random.Random(7), Book(), Counter[str]()
    entries = [
        entry(number, rng.randrange(10**15), advertiser_id=f"a-{rng.randrange(9)}", currency=rng.choice(("EUR", "USD")))
        for number in range(1_000)
    ]
    for one in [*entries, *entries[-100:]]:
        book.add(one)
    for one in entries:
        owed[one.currency] += one.micros

    assert book.trial_balance() == {"EUR": 0, "USD": 0}
    assert book.revenue_micros == owed
    assert book.repeated == 100
    assert sum(account.charges for account in book.accounts.values()) == 1_000


def test_the_trial_balance_shows_an_account_that_was_changed_alone() -> None:
    book = Book()
    book.add(entry(0, 100))
    book.accounts["ovennest", "USD"] = fold(book.accounts["ovennest", "USD"], entry(1, 1))

    assert book.trial_balance() == {"USD": 1}
