"""The bill: one event for each advertiser that took part in an auction, zero charges included; and its correction."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.auction import PaymentRule, Tau
from schemas.payload import (
    MAX_ADVERTISERS,
    AdvertiserId,
    Charge,
    Currency,
    Digest,
    Identifier,
    Moment,
    Payload,
    Probability,
)
from schemas.text import Description, KnownName


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


class AdvertiserCredited(Payload):
    """Some or all of one charge taken back, by decision of a person. The charge itself stays as it was."""

    event_type: ClassVar[str] = "auction.billing.credited.v1"

    credit_id: Digest = Field(description="Derived from the charge and the key: the idempotency key.")
    credit_key: Identifier = Field(description="Tells the credits of one charge apart; none is issued twice.")
    charge_id: Digest
    charged_sha256: Digest = Field(description="SHA-256 of the charged event's value: the bill that is corrected.")
    query_id: Identifier
    auction_id: Digest
    advertiser_id: AdvertiserId
    name: KnownName
    charge_micros: Charge = Field(description="What was charged.")
    credit_micros: Annotated[int, Field(gt=0, le=MAX_ADVERTISERS * 10**15)] = Field(
        description="What is taken back of it; all credits of a charge together never exceed it."
    )
    currency: Currency
    reason: Description
    submitted_at: Moment = Field(description="As in the bill.")
    issued_at: Moment

    @model_validator(mode="after")
    def _never_above_the_charge(self) -> Self:
        if self.credit_micros > self.charge_micros:
            raise ValueError("credit_micros is above charge_micros")
        return self
