"""The bill: one event for each advertiser that took part in an auction, zero charges included."""

from typing import ClassVar, Literal

from pydantic import Field

from schemas.auction import PaymentRule, Tau
from schemas.payload import AdvertiserId, Charge, Currency, Digest, Identifier, Moment, Payload, Probability
from schemas.text import KnownName


class AdvertiserCharged(Payload):
    """What one advertiser pays for one auction. Never edited: a correction is a new event."""

    event_type: ClassVar[str] = "auction.billing.charged.v1"

    charge_id: Digest = Field(description="Derived from auction and advertiser: the idempotency key.")
    query_id: Identifier
    auction_id: Digest
    advertiser_id: AdvertiserId
    name: KnownName
    charge_micros: Charge
    currency: Currency
    payment_rule: PaymentRule
    payment_rule_version: Literal[1] = 1
    rounding: Literal["half_even"] = "half_even"
    tau_micros_per_nat: Tau
    link_group: AdvertiserId | None = Field(
        default=None, description="The party the advertiser belongs to; the first of its members carries the charge."
    )
    bound_micros: Charge = Field(description="The most this charge could have been, fixed before any bid was read.")
    probability_with: Probability
    probability_without: Probability
    scored_sha256: Digest = Field(
        description="SHA-256 of the scored event's value: the numbers this charge follows from."
    )
    settled_sha256: Digest = Field(description="SHA-256 of the settled event's value: the reply that was given.")
    submitted_at: Moment
