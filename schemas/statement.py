"""An advertiser's statement of a period: every charge with what it bought, every credit, and the sums. A document."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.payload import AdvertiserId, Charge, Currency, Digest, Identifier, Moment, Part, Probability
from schemas.text import Description, KnownName

Count = Annotated[int, Field(ge=0)]
Balance = Annotated[int, Field(description="Micros; below 0: the advertiser is owed.")]


class StatementLine(Part):
    """One charge. A reply that is kept no longer is absent, and so is what follows from its auction's numbers."""

    charge_id: Digest
    query_id: Identifier
    charged_at: Moment = Field(description="When the broker took the bill: what period it belongs to.")
    submitted_at: Moment
    reply: str | None = Field(default=None, description="The reply that was given.")
    probability_with: Probability = Field(description="Of that reply, with everybody's bids.")
    probability_without: Probability = Field(description="Of that reply, had this advertiser stayed away.")
    named_with: Probability | None = Field(
        default=None, description="That a reply names the advertiser: the sum of π over the candidates that do."
    )
    named_without: Probability | None = Field(default=None, description="The same under π₋ᵢ, without its bid.")
    charge_micros: Charge
    bill_sha256: Digest = Field(description="SHA-256 of the bill, which names the digests of reply and numbers.")


class StatementCredit(Part):
    """One credit."""

    credit_id: Digest
    charge_id: Digest
    query_id: Identifier
    credited_at: Moment
    credit_micros: Charge
    reason: Description


class StatementTotals(Part):
    """Sums of the period, and what was owed before and after it: opening + charged − credited = closing."""

    charges: Count
    charged_micros: Charge
    credits: Count
    credited_micros: Charge
    opening_balance_micros: Balance
    closing_balance_micros: Balance
    measured: Count = Field(description="Of how many charges it is known how often the advertiser would be named.")
    mean_named_with: Probability | None = None
    mean_named_without: Probability | None = None


class Statement(Part):
    """What one advertiser was charged in one currency from `begin` on and before `end`."""

    kind: Literal["advertiser"] = "advertiser"
    advertiser_id: AdvertiserId
    name: KnownName
    currency: Currency
    begin: Moment | None = Field(default=None, description="Absent: from the first bill that is kept.")
    end: Moment | None = Field(default=None, description="Absent: to the last.")
    lines: tuple[StatementLine, ...]
    credits: tuple[StatementCredit, ...]
    totals: StatementTotals
    problems: tuple[str, ...] = Field(description="What does not fit; empty: it reconciles to the bills to the micro.")
