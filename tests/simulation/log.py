"""One partition as the broker keeps it: records and markers at offsets, open transactions, the last stable offset."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from aiokafka.errors import InvalidProducerEpoch, InvalidTxnState, KafkaError, OutOfOrderSequenceNumber

Headers = tuple[tuple[str, bytes | None], ...]


class Fate(Enum):
    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(eq=False)
class Piece:
    """The part of a transaction in one partition."""

    first_offset: int
    fate: Fate = Fate.OPEN


@dataclass(slots=True)
class Stored:
    """A record, or a marker (`piece` None and no record)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()
    piece: Piece | None = None
    marker: bool = False
    transactional_id: str | None = None
    timestamp_type: int = 1  # LogAppendTime
    checksum: None = None

    @property
    def is_visible(self) -> bool:
        """For a read_committed reader, once it is below the last stable offset."""
        return not self.marker and (self.piece is None or self.piece.fate is Fate.COMMITTED)


@dataclass
class ProducerState:
    """What the partition knows of one producer id."""

    epoch: int
    next_sequence: int = 0
    last_offset: int = -1


@dataclass
class PartitionLog:
    """`verify` asks the coordinator whether a producer may begin a transaction here (KIP-890)."""

    topic: str
    number: int
    entries: list[Stored] = field(default_factory=list)
    producers: dict[int, ProducerState] = field(default_factory=dict)
    open: dict[int, Piece] = field(default_factory=dict)

    @property
    def end(self) -> int:
        return len(self.entries)

    def edge(self, edge: int, *, stable: bool = False) -> int:
        """Where the log begins (-2) or ends (-1; `stable`: for readers of committed records), or the first record of a
        time, ms; -1 without one.
        """
        if edge < 0:
            return 0 if edge == -2 else self.stable if stable else self.end
        return next((entry.offset for entry in self.entries if entry.timestamp >= edge), -1)

    @property
    def stable(self) -> int:
        """Readers of committed records see what is below."""
        return min((piece.first_offset for piece in self.open.values()), default=len(self.entries))

    def check(self, pid: int, epoch: int, verify: Callable[[], bool]) -> type[KafkaError] | None:
        """Why the producer may not write inside its transaction, or None."""
        known = self.producers.get(pid)
        if known is not None and epoch < known.epoch:
            return InvalidProducerEpoch
        if pid not in self.open and not verify():
            return InvalidTxnState
        return None

    def begin(self, pid: int, epoch: int) -> Piece:
        """The open transaction of the producer; with a newer epoch its sequence begins anew."""
        known = self.producers.setdefault(pid, ProducerState(epoch))
        if epoch > known.epoch:
            known.epoch, known.next_sequence = epoch, 0
        return self.open.setdefault(pid, Piece(self.end))

    def sequence(self, pid: int, epoch: int, sequence: int) -> type[KafkaError] | bool:
        """Whether the batch is new; False for one that is here already."""
        known = self.producers.get(pid)
        expected = known.next_sequence if known is not None and known.epoch == epoch else 0
        if sequence < expected:
            return False
        return True if sequence == expected else OutOfOrderSequenceNumber

    def append(self, record: Stored) -> None:
        record.offset = self.end
        self.entries.append(record)

    def mark(self, pid: int, epoch: int, fate: Fate, now_ms: int) -> None:
        """End the producer's transaction here."""
        known = self.producers.setdefault(pid, ProducerState(epoch))
        if epoch > known.epoch:
            known.epoch, known.next_sequence = epoch, 0
        piece = self.open.pop(pid, None)
        if piece is not None:
            piece.fate = fate
        self.append(Stored(self.topic, self.number, 0, now_ms, marker=True))

    def visible(self) -> list[Stored]:
        return [entry for entry in self.entries[: self.stable] if entry.is_visible]
