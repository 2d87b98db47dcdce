"""Commitments to the keys of each epoch, told before it by their hashes alone: of its draws, and of its seeds."""

from datetime import date
from hashlib import sha256
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from schemas.payload import MAX_CANDIDATES, Digest, Part, Payload

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


Seed = Annotated[str, StringConstraints(pattern=r"^[0-7][0-9a-f]{15}$")]  # 63 bits; hexadecimal, as readers round
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Seeds(Part):
    """What the replies of one auction were drawn with: who has the model can draw them again."""

    algorithm: Literal["seed-v1"] = Field(description="How seeds derive from the key of the day: infra/trust.")
    epoch: Epoch = Field(description="Day of UTC on which they were drawn; it names the key of the seeds.")
    key_sha256: Digest = Field(description="SHA-256 of that key, hexadecimal.")
    candidates: Annotated[tuple[Seed, ...], Field(max_length=MAX_CANDIDATES)] = Field(
        description="Seed of each candidate, in their order: 63 bits, hexadecimal."
    )
    fallback: Seed = Field(description="Seed of the advert-free reply: 63 bits, hexadecimal.")


class DrawCommitment(Payload):
    """The keys of one epoch: first their SHA-256, before any draw; once more, with the keys, when all is drawn."""

    event_type: ClassVar[str] = "auction.draw.commitment.v1"
    max_bytes: ClassVar[int] = 4 * 1024

    epoch: Epoch = Field(description="Day of UTC whose auctions are drawn with the key.")
    key_sha256: Digest = Field(description="SHA-256 of the key's 32 bytes; the settled event names it too.")
    key: Key | None = Field(
        default=None, description="The key, hexadecimal, once it is revealed: with it anyone can repeat the draws."
    )
    sampling_key_sha256: Digest | None = Field(
        default=None, description="SHA-256 of the key of the day's seeds, 32 bytes. Absent where nobody commits to it."
    )
    sampling_key: Key | None = Field(
        default=None, description="That key, hexadecimal, once it is revealed: with it anyone can derive the seeds."
    )

    @model_validator(mode="after")
    def _keys_are_those_committed_to(self) -> Self:
        for name in ("key", "sampling_key"):
            key = getattr(self, name)
            if key is not None and sha256(bytes.fromhex(key)).hexdigest() != getattr(self, f"{name}_sha256"):
                raise ValueError(f"{name}: its SHA-256 is not {name}_sha256")
        return self
