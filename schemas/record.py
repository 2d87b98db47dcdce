"""What Kafka stores: a key, a value and headers at a position of a topic. Bytes, nothing decoded."""

from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.reasons import DeadLetterReason

Headers = tuple[tuple[str, bytes | None], ...]


#: How a header's name is decoded and encoded. Kafka holds it to nothing: what is not UTF-8 becomes lone surrogates.
NAME_ERRORS = "surrogateescape"
MOST_HEADERS = 1_000  # of one record; whoever sends more is refused


def too_many_headers(count: int) -> str:
    """What to tell whoever sent them."""
    return f"the record has {count:,} headers; at most {MOST_HEADERS:,} are read"


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why nobody can read a record. Its value is then what Kafka stores in its place, or what could be read of it."""

    reason: DeadLetterReason
    message: str
    about: Headers = ()  # further headers of its dead letter: which offsets it covers, how it is packed
    is_damage: bool = False  # nobody sent it so: another replica may have it whole


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be written. Bytes of a header's name that are not UTF-8 are lone surrogates (NAME_ERRORS)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Placed(Outgoing):
    """A record for this partition of its topic, whatever its key says."""

    to_partition: int = 0


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
    flaw: Flaw | None = None

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
