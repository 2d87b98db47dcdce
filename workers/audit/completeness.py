"""What a log on Kafka cannot be held to: what may have been deleted, and what may still be under way."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Completeness:
    """In milliseconds of the records' timestamps."""

    settled_from: int  # older replies may have been deleted
    complete_until: int  # what is younger may still be under way
