"""What a group has finished of one input partition, as its committed offset and the metadata beside it say.

The metadata is part of the transaction of the outputs, so a successor repeats only what is really unfinished. Format 1:
`1:` and base64 of a CRC-32 (over the offset and what follows), one byte of attempts, and a bit for each offset from
the committed one on, lowest bit first. Anything else is refused: a guess would bill twice or not at all.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from workers.errors import OffsetLost

VERSION = "1:"
CRC_BYTES = 4
OFFSET_BYTES = 8
WINDOW = 4_096  # offsets beyond the base that may be finished before it; 700 characters, of 4 096 that a broker takes
MOST_ATTEMPTS = 255


@dataclass(frozen=True, slots=True)
class Completion:
    """Everything below `base` is finished, and of what follows the offsets in `done`.

    `attempts`: how often work on the first unfinished record was begun by a process of which nobody knows that it
    ended in order; as many times the record may have been its end.
    """

    base: int
    done: frozenset[int] = frozenset()
    attempts: int = 0

    def covers(self, earlier: "Completion") -> bool:
        """Whether all that was finished at `earlier` is finished here: what is finished stays so."""
        return self.base >= earlier.base and all(at < self.base or at in self.done for at in earlier.done)

    def joined(self, other: "Completion") -> "Completion":
        """All that either says is finished. The attempts are those of whoever knows of more; of `self` if neither."""
        base = max(self.base, other.base)
        done = self.done | other.done
        while base in done:
            base += 1
        newest = other if other.covers(self) and not self.covers(other) else self
        attempts = newest.attempts if newest.base == base else 0
        return Completion(base, frozenset(at for at in done if at >= base), attempts)

    def metadata(self) -> str:
        """To be committed beside `base`; empty when there is nothing to say."""
        if not self.done and not self.attempts:
            return ""
        body = bytes([min(self.attempts, MOST_ATTEMPTS)]) + _bits(offset - self.base for offset in self.done)
        return VERSION + base64.b64encode(_checksum(self.base, body) + body).decode()


#: Of a partition of which nothing was read yet.
NOTHING_KNOWN = Completion(-1)


def read_completion(base: int, metadata: str) -> Completion:
    """What `metadata` says beside the committed offset `base`; -1: there is none. OffsetLost: not ours, or damaged."""
    if base < 0:
        return NOTHING_KNOWN
    if not metadata:
        return Completion(base)
    if not metadata.startswith(VERSION):
        raise OffsetLost(f"a newer release, or somebody else, committed it: {metadata[:20]!r}")
    try:
        packed = base64.b64decode(metadata.removeprefix(VERSION), validate=True)
    except binascii.Error:
        packed = b""
    checksum, body = packed[:CRC_BYTES], packed[CRC_BYTES:]
    if not body or checksum != _checksum(base, body):
        raise OffsetLost(f"its checksum is wrong: {metadata[:20]!r}")
    return Completion(base, frozenset(base + at for at in _set_bits(body[1:])), body[0])


def _checksum(base: int, body: bytes) -> bytes:
    return zlib.crc32(base.to_bytes(OFFSET_BYTES, "big") + body).to_bytes(CRC_BYTES, "big")


def _bits(places: Iterable[int]) -> bytes:
    number = sum(1 << place for place in places)
    return number.to_bytes((number.bit_length() + 7) // 8, "little")


def _set_bits(packed: bytes) -> list[int]:
    number = int.from_bytes(packed, "little")
    return [place for place in range(number.bit_length()) if number >> place & 1]
