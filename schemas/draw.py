"""Commitments of the draw: which key each epoch's replies are drawn with, told before the epoch by its hash alone."""

from datetime import date
from hashlib import sha256
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from schemas.payload import Digest, Part, Payload

LAST_EPOCH = "9999-12-30"  # a day with a tomorrow


def a_day(text: str) -> str:
    """The text; ValueError for a day that no calendar has, or that has no tomorrow."""
    date.fromisoformat(text)
    if text > LAST_EPOCH:
        raise ValueError(f"the day lies after {LAST_EPOCH}")
    return text


#: A day of UTC, as in 2026-11-24. The scored event names its own: the day on which scoring ended.
Epoch = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(a_day)]


DrawAlgorithm = Literal["draw-v1", "draw-v2"]


class QueryRecord(Part):
    """The record of a query: where it stands, and what its bytes are. No worker writes it."""

    origin: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=249)], ...], Field(min_length=3, max_length=4)
    ] = Field(
        description="Topic, partition, offset and, where it is known, what tells the record from one at the same "
        "place of a topic that was made anew. The auction's id derives from it."
    )
    sha256: Digest = Field(description="SHA-256 of the record's value.")


def query_parts(record: QueryRecord | None) -> tuple[str, ...]:
    """What draw-v2 makes u from, besides the key; none where the event does not name its query's record."""
    return (*record.origin, record.sha256) if record else ()


class DrawCommitment(Payload):
    """The key of one epoch: first its SHA-256, before any draw; once more, with the key itself, when all is drawn."""

    event_type: ClassVar[str] = "auction.draw.commitment.v1"
    max_bytes: ClassVar[int] = 4 * 1024

    epoch: Epoch = Field(description="Day of UTC whose auctions are drawn with the key.")
    key_sha256: Digest = Field(description="SHA-256 of the key's 32 bytes; the settled event names it too.")
    key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="The key, hexadecimal, once it is revealed: with it anyone can repeat the draws."
    )

    @model_validator(mode="after")
    def _key_is_the_one_committed_to(self) -> Self:
        if self.key is not None and sha256(bytes.fromhex(self.key)).hexdigest() != self.key_sha256:
            raise ValueError("key: its SHA-256 is not key_sha256")
        return self
