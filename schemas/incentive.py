"""The live proof: what the best lie that a search could find would have gained, in one settled auction."""

from typing import Annotated, ClassVar

from pydantic import Field

from schemas.auction import PaymentRule
from schemas.payload import MAX_ADVERTISERS, AdvertiserId, Currency, Digest, Identifier, Moment, Part, Payload

Gain = Annotated[float, Field(ge=-1e18, le=1e18)]


class Gap(Part):
    """The best lie found for one party, named by its first member: at most 0, but for float dust."""

    advertiser_id: AdvertiserId
    gap_micros: Gain = Field(description="True utility of the best lie minus that of the truth, before rounding.")
    gap_billed_micros: Gain = Field(description="The same with charges in whole micros: at most 1, by rounding alone.")
    lie: str = Field(max_length=32, description="What kind of lie it was.")


class IncentiveMeasured(Payload):
    """Lies that were tried on the logged numbers of one auction; nothing in it depends on who asks or when."""

    event_type: ClassVar[str] = "auction.incentive.measured.v1"

    query_id: Identifier
    auction_id: Digest
    scored_sha256: Digest = Field(description="SHA-256 of the scored event's value: the numbers that were searched.")
    submitted_at: Moment
    payment_rule: PaymentRule
    currency: Currency
    lies_tried: Annotated[int, Field(ge=0)] = Field(description="Reports priced for each advertiser, about.")
    gaps: Annotated[tuple[Gap, ...], Field(max_length=MAX_ADVERTISERS)]
    largest_gap_micros: Gain
