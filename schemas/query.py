"""The query: what whoever asks sends. It is the contract with producers; what stages make of it is in auction.py."""

from datetime import datetime
from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.payload import (
    MAX_ADVERTISERS,
    MAX_CANDIDATE_TOKENS,
    MAX_CANDIDATES,
    MAX_TOKENS,
    AdvertiserId,
    Identifier,
    Micros,
    Moment,
    Part,
    Payload,
)
from schemas.text import Description, DisplayName

Category = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]
CandidateCount = Annotated[int, Field(ge=1, le=MAX_CANDIDATES)]
ConsentString = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,4096}$")]
TokenCount = Annotated[int, Field(ge=1, le=MAX_TOKENS)]


class Advertiser(Part):
    """Who bids for influence, as declared at the time of the query."""

    advertiser_id: AdvertiserId = Field(description="Stable id; the key of the bills.")
    name: DisplayName
    description: Description = Field(description="Follows the name in prompts: 'selling organic seeds'.")
    value_micros_per_nat: Annotated[int, Field(ge=0, le=10**12)] = Field(
        description="What one nat more of log-probability under the advertiser's own model is worth, in micros: "
        "millionths of the operator's currency (`TESSERA_CURRENCY`), which scored event, reply and bill name."
    )
    reward_range_micros: tuple[Micros, Micros] | None = Field(
        default=None, description="Declared least and largest reward of any reply, micros; rewards are clamped to it."
    )
    categories: Annotated[tuple[Category, ...], Field(max_length=16)] = ()
    link_group: AdvertiserId | None = Field(
        default=None, description="Advertisers of one party share it: they bid as one, and the first of them pays."
    )

    @model_validator(mode="after")
    def _range_is_ordered(self) -> Self:
        if self.reward_range_micros and self.reward_range_micros[0] > self.reward_range_micros[1]:
            raise ValueError("reward_range_micros: the least reward is above the largest")
        return self


class Parameters(Part):
    """What a query may choose for itself; the operator's settings stand for everything left out."""

    candidates: CandidateCount | None = None
    max_tokens: TokenCount | None = None

    @model_validator(mode="after")
    def _fits_an_event(self) -> Self:
        if (self.candidates or 1) * (self.max_tokens or 1) > MAX_CANDIDATE_TOKENS:
            raise ValueError(f"candidates times max_tokens is more than {MAX_CANDIDATE_TOKENS}")
        return self


class Question(Part):
    """What was asked."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=4_000, pattern=r"\S")]
    language: Language | None = Field(default=None, description="BCP 47 tag; carried through for analysts.")
    category: Category | None = Field(default=None, description="Topic of the question; carried through for analysts.")


class QuerySubmitted(Question, Payload):
    """Somebody asks; the advertisers who may bid come with the question."""

    event_type: ClassVar[str] = "auction.query.submitted.v1"
    max_bytes: ClassVar[int] = 1024 * 1024
    readers_forbid_extra: ClassVar[bool] = True

    query_id: Identifier | None = Field(
        default=None, description="Names the query in every event. Left out: the record's key, or else its position."
    )
    advertisers: Annotated[tuple[Advertiser, ...], Field(max_length=MAX_ADVERTISERS)] = ()
    advertiser_ids: Annotated[tuple[AdvertiserId, ...], Field(max_length=MAX_ADVERTISERS)] | None = Field(
        default=None,
        description="Registered advertisers who may bid. Left out, and `advertisers` too: those whom the question "
        "finds, where the operator lets it (TESSERA_REGISTRY).",
    )
    sensitive: bool = Field(
        default=False, description="Whether the question is of a sensitive kind: only advertisers who accept such bid."
    )
    advertising_consent: bool = Field(
        default=False,
        description="True: whoever asks consents to adverts in the reply. False, or left out: none, and nobody pays.",
    )
    gpp: ConsentString | None = Field(
        default=None, description="IAB's Global Privacy Platform string, carried through as it is; it decides nothing."
    )
    tcf: ConsentString | None = Field(
        default=None,
        description="IAB's Transparency and Consent string, carried through as it is; it decides nothing.",
    )
    blocked_categories: Annotated[tuple[Category, ...], Field(max_length=64)] = ()
    deadline: Moment | None = Field(
        default=None, description="RFC 3339 with offset; after it the query is refused as EXPIRED."
    )
    parameters: Parameters = Parameters()
    draw_nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,64}$")] | None = Field(
        default=None,
        description="Hexadecimal digits of the producer's own chance: as part of the query's bytes they go into the "
        "draw of its reply.",
    )

    def encode(self) -> bytes:
        """Compact JSON without what is left out: an older generation refuses fields that it does not know."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)

    @property
    def stated_deadline(self) -> datetime | None:
        return self.deadline

    @model_validator(mode="after")
    def _advertisers_are_distinct(self) -> Self:
        ids = [*(advertiser.advertiser_id for advertiser in self.advertisers), *(self.advertiser_ids or ())]
        if len(set(ids)) < len(ids):
            raise ValueError("advertisers: the same advertiser_id stands twice")
        if len(ids) > MAX_ADVERTISERS:
            raise ValueError(f"advertiser_ids: with `advertisers` more than {MAX_ADVERTISERS}")
        return self
