"""What a look at a log can be held to: where partitions begin, what was read by then, and what may be gone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.letter import Place
from schemas.topics import QUERIES

NOTHING_IN_FLIGHT = 2**62


@dataclass(frozen=True)
class Horizon:
    """Positions are by (topic, partition), moments in milliseconds of the records' timestamps.

    `committed` must have been asked for before the ends up to which records are read: then whatever a stage had read
    by then has its outputs among those records.
    """

    begins: Mapping[tuple[str, int], int] = field(default_factory=dict)  # offsets; 0 where it says nothing
    committed: Mapping[tuple[str, int], int] = field(default_factory=dict)  # of the group that reads the topic
    settled_from_ms: int = 0  # what began earlier may have lost its reply to retention
    queried_from_ms: int = 0  # what began earlier may have lost its query to retention
    generated_from_ms: int = 0  # and its generated event
    in_flight_from_ms: int = NOTHING_IN_FLIGHT  # what is newer may be under way whatever the offsets say
    complete: bool = False  # nothing may be under way

    def is_deleted(self, place: Place) -> bool:
        """Whether retention has deleted the record."""
        return place.offset < self.begins.get((place.topic, place.partition), 0)

    def is_unread(self, place: Place) -> bool:
        """Whether the stage that reads this topic had not committed past the record."""
        return place.offset >= self.committed.get((place.topic, place.partition), 0)

    def must_hold(self, topic: str, newest_ms: int) -> bool:
        """Whether the record that an auction began with on this topic must be there: neither deleted nor under way.

        `topic`: that of queries or of generated events; `newest_ms`: of the auction's newest record.
        """
        is_cut = any(begin > 0 for (name, _), begin in self.begins.items() if name == topic)
        stored_from_ms = self.queried_from_ms if topic == QUERIES.name else self.generated_from_ms
        return (not is_cut or newest_ms >= stored_from_ms) and newest_ms < self.in_flight_from_ms
