"""What one advertiser owes in one currency: a fold over its charges and credits that counts each of them once."""

from dataclasses import dataclass

from workers.ledger.entries import LedgerEntry
from workers.ledger.recent_ids import RecentIds

NOTHING = RecentIds()


@dataclass(frozen=True, slots=True)
class Account:
    """The sums of an account, micros, and what tells whether an entry is among them."""

    advertiser_id: str
    currency: str
    charged_micros: int = 0
    credited_micros: int = 0
    charges: int = 0
    credits: int = 0
    counted_charges: RecentIds = NOTHING
    counted_credits: RecentIds = NOTHING

    @property
    def balance_micros(self) -> int:
        """What the advertiser owes: all that it was charged, less what was taken back."""
        return self.charged_micros - self.credited_micros


def fold(account: Account, entry: LedgerEntry) -> Account:
    """The account with the entry counted, or the same object where it was before: replays change nothing.

    Entries of one kind must come in the order of their offsets, each any number of times. ValueError: the entry is
    another account's.
    """
    if entry.advertiser_id != account.advertiser_id or entry.currency != account.currency:
        raise ValueError(f"{entry.kind} {entry.id} is not of the account {account.advertiser_id} {account.currency}")
    return _charge(account, entry) if entry.kind == "charge" else _credit(account, entry)


def _charge(account: Account, entry: LedgerEntry) -> Account:
    if account.counted_charges.holds(entry.id, entry.offset):
        return account
    return Account(
        account.advertiser_id,
        account.currency,
        account.charged_micros + entry.micros,
        account.credited_micros,
        account.charges + 1,
        account.credits,
        account.counted_charges.add(entry.id, entry.offset),
        account.counted_credits,
    )


def _credit(account: Account, entry: LedgerEntry) -> Account:
    if account.counted_credits.holds(entry.id, entry.offset):
        return account
    return Account(
        account.advertiser_id,
        account.currency,
        account.charged_micros,
        account.credited_micros + entry.micros,
        account.charges,
        account.credits + 1,
        account.counted_charges,
        account.counted_credits.add(entry.id, entry.offset),
    )
