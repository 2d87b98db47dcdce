"""The operator's terms, published before they are in force: whoever pays can hold every auction to them."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.auction import PaymentRule, Tau
from schemas.draw import DrawAlgorithm
from schemas.payload import Currency, Digest, Moment, Part, Payload
from schemas.query import CandidateCount, TokenCount
from schemas.text import Description

MOST_MODELS = 64


class NamedModel(Part):
    """A model that auctions may use."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description="As events name it: `engine.name`."
    )
    model_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12,64}$")] = Field(
        description="SHA-256 of its weights, hexadecimal, or the first digits of it, 12 at least."
    )


class TermsPublished(Payload):
    """What auctions are held on from a moment on. Never edited: other terms are another notice."""

    event_type: ClassVar[str] = "auction.terms.v1"
    max_bytes: ClassVar[int] = 64 * 1024

    terms_id: Digest = Field(description="Derived from all that the notice says: the same notice twice is one.")
    in_force_from: Moment = Field(
        description="From then on, by the time at which the broker took the scored event; not before the broker took "
        "this notice."
    )
    tau_micros_per_nat: Tau
    currency: Currency
    payment_rule: PaymentRule
    payment_rule_version: Literal[1] = 1
    draw: DrawAlgorithm = Field(description="The draw that replies are drawn by.")
    models: Annotated[tuple[NamedModel, ...], Field(max_length=MOST_MODELS)] = Field(
        default=(), description="The models that auctions may use; none named: the notice says nothing of them."
    )
    candidates_least: CandidateCount = Field(description="Fewest candidates of an auction in which advertisers bid.")
    candidates_most: CandidateCount = Field(description="Most candidates of an auction.")
    max_tokens_least: TokenCount = Field(description="Lowest limit of a reply's length at which they bid, tokens.")
    max_tokens_most: TokenCount = Field(description="Highest limit of a reply's length, tokens.")
    note: Description | None = Field(default=None, description="Why, in one line, for whoever pays.")

    @model_validator(mode="after")
    def _floors_lie_below_ceilings(self) -> Self:
        for name in ("candidates", "max_tokens"):
            if getattr(self, f"{name}_least") > getattr(self, f"{name}_most"):
                raise ValueError(f"{name}_least is above {name}_most")
        return self
