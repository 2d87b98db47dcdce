"""What a store of settled query ids promises, whatever keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from workers.errors import BrokerError

DIGEST_BYTES = 32


class StoreFailed(BrokerError):
    """The disk that the ids are kept on is full, broken or gone. Nothing is settled without it."""


class StoreLocked(StoreFailed):
    """Another process, or another owner in this one, has the store open."""


class Remembered(NamedTuple):
    """The auction that counts for a query id, and the SHA-256 of the scored event it was settled from, if known."""

    auction_id: str
    scored_sha256: str | None


#: A record of the changelog: query id, when the broker took it (ms), `packed` content. Plain, as there are millions.
Row = tuple[bytes, int, bytes]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last record of the changelog that a store has taken in. A log that has it has all that the store has read:
    another cluster's, one created anew, or one cut off in an unclean election has another record there, or none.
    """

    offset: int
    timestamp_ms: int
    key: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a store has followed its changelog; written with the rows, in the same atomic write."""

    anchor: Anchor | None = None
    horizon_ms: int = 0  # everything that was recorded at this time or later is held; 0: everything is
    oldest_ms: int = 0  # the earliest time of all rows that may be held
    newest_ms: int = 0  # the latest of all


class Store(Protocol):
    """The ids of one partition. `StoreFailed` from every method: the disk is full, broken or gone."""

    @property
    def checkpoint(self) -> Checkpoint:
        """How far the store has followed its changelog."""

    def get(self, query_id: str) -> Remembered | None:
        """What is known of the id. Microseconds: it is asked on the event loop."""

    def put(self, rows: Sequence[Row], checkpoint: Checkpoint) -> None:
        """Take in rows and move to the checkpoint: both or neither, also if the process or the machine dies.

        Rows that were recorded before the checkpoint's horizon may be left out, and forgotten.
        """

    def clear(self) -> None:
        """Forget everything, the checkpoint too."""

    def close(self) -> None:
        """Let go of it. What was put is there when it is opened again, but for the last moments before a power cut."""


def packed(auction_id: str, scored_sha256: str | None) -> bytes:
    """Hexadecimal digests as a row's value."""
    return bytes.fromhex(auction_id + (scored_sha256 or ""))


def unpacked(value: bytes) -> Remembered:
    """What a row's value says: 32 bytes of the auction's id, then 32 of the scored event's digest, or none."""
    auction, scored = value[:DIGEST_BYTES], value[DIGEST_BYTES:]
    return Remembered(auction.hex(), scored.hex() or None)
