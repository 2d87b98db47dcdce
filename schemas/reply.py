"""The settled reply: the terminal record of a query, with what fixed the choice and who had a say in it."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator

from schemas.auction import Abstention
from schemas.draw import DrawAlgorithm, Epoch, QueryRecord
from schemas.payload import (
    MAX_ADVERTISERS,
    MAX_CANDIDATES,
    AdvertiserId,
    Charge,
    Currency,
    Digest,
    Identifier,
    Moment,
    Part,
    Payload,
    Probability,
)
from schemas.query import Category, Language
from schemas.reasons import VoidReason
from schemas.text import KnownName

WholeNumber = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,18})$")]


def _as_digits_say(given: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """The weights with all their digits, where `weights_text` has them; the numbers may have been rounded to floats."""
    given = tuple(given) if isinstance(given, list) else given
    digits = info.data.get("weights_text", ())
    if digits:
        numbers = isinstance(given, tuple) and all(type(one) in (int, float) for one in given)
        if not numbers or [float(one) for one in given] != [float(one) for one in digits]:
            raise ValueError("other numbers than those of weights_text")
        given = tuple(map(int, digits))
    return read(given)


class Sponsor(Part):
    """The disclosure: what one advertiser's bid did to the chance of the reply that was given."""

    advertiser_id: AdvertiserId
    name: KnownName
    probability_with: Probability
    probability_without: Probability


class Draw(Part):
    """What fixed the choice: anyone with the key can repeat it in integers."""

    algorithm: DrawAlgorithm
    epoch: Epoch | None = Field(default=None, description="Whose key it was; the commitment topic holds its hash.")
    key_sha256: Digest
    scored_sha256: Digest
    query_record: QueryRecord | None = Field(default=None, description="What u was made from, in draw-v2.")
    u: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] = Field(description="128 bits, hexadecimal.")


class ReplySettled(Payload):
    """The terminal record of a query: the reply, why this one, and which bills belong to it."""

    event_type: ClassVar[str] = "auction.reply.settled.v1"

    query_id: Identifier
    auction_id: Digest
    submitted_at: Moment
    received_at: Moment | None = Field(
        default=None, description="When the broker took the query, as the scored event says."
    )
    outcome: Literal["sold", "no_advertisers", "void"]
    void_reason: VoidReason | None = None
    reply: str
    language: Language | None = None
    category: Category | None = None
    sponsored: bool
    disclosure: str
    chosen_index: Annotated[int, Field(ge=0, lt=MAX_CANDIDATES)] | None = None
    weights_text: Annotated[tuple[WholeNumber, ...], Field(max_length=MAX_CANDIDATES)] = Field(
        default=(),
        description="The weights as digits, for programs that take JSON's numbers for floats and round those beyond "
        "2^53, as jq 1.6 does. Absent in the first events.",
    )
    weights: Annotated[
        tuple[Annotated[int, Field(ge=0, le=2**62)], ...],
        Field(max_length=MAX_CANDIDATES),
        WrapValidator(_as_digits_say),
    ]
    probabilities: Annotated[tuple[Probability, ...], Field(max_length=MAX_CANDIDATES)]
    effective_sample_size: Annotated[float, Field(ge=0)]
    draw: Draw | None = None
    sponsors: Annotated[tuple[Sponsor, ...], Field(max_length=MAX_ADVERTISERS)]
    abstentions: Annotated[tuple[Abstention, ...], Field(max_length=MAX_ADVERTISERS)]
    charge_ids: Annotated[tuple[Digest, ...], Field(max_length=MAX_ADVERTISERS)]
    total_charge_micros: Charge
    currency: Currency
