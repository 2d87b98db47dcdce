"""What the ledger counts: a charge, or a credit that takes some of one back."""

from dataclasses import dataclass
from typing import Literal

from schemas.billing import AdvertiserCharged, AdvertiserCredited


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One charge or credit, `micros` ≥ 0, as it stands at an offset of its topic, or in a line of a file."""

    kind: Literal["charge", "credit"]
    id: str  # of the charge or of the credit: the idempotency key
    advertiser_id: str
    currency: str
    micros: int
    offset: int


def charge_entry(charge: AdvertiserCharged, offset: int) -> LedgerEntry:
    """The bill as the ledger counts it."""
    return LedgerEntry("charge", charge.charge_id, charge.advertiser_id, charge.currency, charge.charge_micros, offset)


def credit_entry(credit: AdvertiserCredited, offset: int) -> LedgerEntry:
    """The correction as the ledger counts it."""
    return LedgerEntry("credit", credit.credit_id, credit.advertiser_id, credit.currency, credit.credit_micros, offset)
