"""What a log on Kafka cannot be held to: what may have been deleted, and what may still be under way."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Completeness:
    """In milliseconds of the records' timestamps."""

    settled_from: int  # older replies may have been deleted
    complete_until: int  # what is younger may still be under way
    billed_from: int = 0  # bills of queries that were submitted before may have been deleted
