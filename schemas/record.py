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

    @property
    def origin(self) -> tuple[str, str, str]:
        """Topic, partition and offset: no other record has them."""
        return self.topic, str(self.partition), str(self.offset)

    @property
    def time(self) -> datetime:
        """When the broker or its producer stamped the record."""
        return datetime.fromtimestamp(self.timestamp_ms / 1000, UTC)
