"""All accounts, in double entry: what an advertiser is charged is revenue of the platform, to the micro."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from workers.ledger.account import Account, fold
from workers.ledger.entries import LedgerEntry

REVENUE = "revenue"


class Posting(NamedTuple):
    """A line of the journal. `micros`: above 0 a debit, below 0 a credit of the account."""

    account: str
    currency: str
    micros: int


def postings(entry: LedgerEntry) -> tuple[Posting, Posting]:
    """A charge debits the advertiser and credits revenue, a credit the other way round; together they are zero."""
    owed = entry.micros if entry.kind == "charge" else -entry.micros
    debtor = Posting(f"advertiser:{entry.advertiser_id}", entry.currency, owed)
    return debtor, Posting(REVENUE, entry.currency, -owed)


@dataclass
class Book:
    """The accounts by advertiser and currency, the revenue by currency, and how many entries came again."""

    accounts: dict[tuple[str, str], Account] = field(default_factory=dict)
    revenue_micros: Counter[str] = field(default_factory=Counter)
    repeated: int = 0

    def add(self, entry: LedgerEntry) -> bool:
        """Whether the entry is counted now; False: it was before."""
        key = entry.advertiser_id, entry.currency
        before = self.accounts.get(key) or Account(*key)
        after = self.accounts[key] = fold(before, entry)
        if after is before:
            self.repeated += 1
            return False
        _, revenue = postings(entry)
        self.revenue_micros[revenue.currency] -= revenue.micros
        return True

    def trial_balance(self) -> dict[str, int]:
        """All debits less all credits, by currency: 0, or something was counted on one side only."""
        totals = Counter({currency: -micros for currency, micros in self.revenue_micros.items()})
        for account in self.accounts.values():
            totals[account.currency] += account.balance_micros
        return dict(totals)
