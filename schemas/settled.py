"""The memory of settlement: which query ids have had their auction."""

from typing import ClassVar

from pydantic import Field

from schemas.payload import Digest, Identifier, Payload


class QuerySettled(Payload):
    """A query id has been used: by this auction, whatever its outcome. It is settled once, and no other one is."""

    event_type: ClassVar[str] = "auction.query.settled.v1"

    query_id: Identifier
    auction_id: Digest = Field(description="The one auction that counts for this query id.")
    settled_sha256: Digest = Field(description="SHA-256 of the settled event's value: the reply that was given.")
    scored_sha256: Digest | None = Field(
        default=None,
        description="SHA-256 of the scored event's value: the event that was settled. Absent in older records.",
    )
