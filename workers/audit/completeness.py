"""What a log on Kafka cannot be held to: what was deleted or not read, what is under way, and what is not asked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Completeness:
    """In milliseconds of the records' timestamps."""

    settled_from: int  # older replies may have been deleted
    complete_until: int  # what is younger may still be under way
    billed_from: int = 0  # bills of queries that were submitted before may have been deleted
    judged_from: int = 0  # auctions that were complete before are another period's
    judged_until: int | None = None  # and those that were complete then or later

    def judges(self, completed: int) -> bool:
        """Whether an auction is to be examined whose last record is of that moment."""
        return completed >= self.judged_from and (self.judged_until is None or completed < self.judged_until)
