"""Where a stage stands in one partition of its input, as it writes that into a log of its own."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.payload import Payload

Offset = Annotated[int, Field(ge=0, lt=2**53)]


class StagePosition(Payload):
    """Written in every transaction that commits an offset. The newest record of a partition counts, if its topic does.

    Value of the compacted topics `auction.STAGE.position.v1`, whose partition n is about partition n of the input. The
    key is `TOPIC/PARTITION` of the input; there are no headers.
    """

    event_type: ClassVar[str] = "auction.stage.position.v1"
    max_bytes: ClassVar[int] = 64 * 1024

    version: Literal[1] = 1
    topic: str = Field(min_length=1, max_length=249, description="The input topic.")
    topic_id: str = Field(
        pattern=r"^([0-9a-f]{32})?$",
        description="Kafka's id of that topic: one that was deleted and made again has another. Empty where the broker "
        "is too old to tell.",
    )
    offset: Offset = Field(description="The group's committed offset: everything below it is finished.")
    metadata: str = Field(
        default="", max_length=8_192, description="The metadata beside it: what is finished beyond the offset."
    )
    set_back_from: Offset | None = Field(
        default=None,
        description="Where the position was before somebody set it back. What the group coordinator says counts only "
        "above it: anything else may be older than that decision.",
    )
