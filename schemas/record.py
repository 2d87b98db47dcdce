"""What Kafka stores: a key, a value and headers at a position of a topic. Bytes, nothing decoded."""

from dataclasses import dataclass
from datetime import UTC, datetime

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be written."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Record(Outgoing):
    """A record as it was read."""

    partition: int = 0
    offset: int = 0
    timestamp_ms: int = 0
    stamped_by_broker: bool = False  # LogAppendTime; otherwise CreateTime: the producer wrote the stamp
    incarnation: str = (
        ""  # tells it from the record at the same place of a topic that was begun anew, where that is known
    )

    @property
    def place(self) -> str:
        """Where it is stored, for people: `TOPIC/PARTITION/OFFSET`."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def origin(self) -> tuple[str, ...]:
        """What no other record has, and ids derive from: topic, partition and offset, and the incarnation if any."""
        known = (self.incarnation,) if self.incarnation else ()
        return self.topic, str(self.partition), str(self.offset), *known

    @property
    def time(self) -> datetime:
        """When the broker or its producer stamped the record."""
        return datetime.fromtimestamp(self.timestamp_ms / 1000, UTC)
