"""Ids that are known: a set of digests, in a fraction of what a set of strings takes."""

import os
from array import array
from hashlib import blake2b
from struct import Struct

BYTES_PER_WORD = 8
SHELVES = 1_024  # tables that grow one by one: doubling all at once would hold up the event loop for seconds
FIRST_SLOTS = 8
WORDS = 2  # of the id's digest, in each slot
_TWO_WORDS = Struct("<QQ")


class KnownIds:
    """A set of ids that can only be asked whether it holds one.

    Between a third and two thirds of the slots are in use: 24 to 48 bytes for each id.
    Two ids are taken for one with a probability of 2**-128 for each pair; the digests are keyed by a number of this
    process, so nobody can choose ids that collide, or that crowd one table.
    """

    def __init__(self) -> None:
        self._key = os.urandom(16)
        self._shelves = [_Shelf() for _ in range(SHELVES)]

    def add(self, id_: str) -> None:
        """From now on the id is known."""
        high, low = self._digest(id_)
        self._shelves[high % SHELVES].put(high, low)

    def __contains__(self, id_: str) -> bool:
        high, low = self._digest(id_)
        return self._shelves[high % SHELVES].has(high, low)

    def __len__(self) -> int:
        return sum(shelf.used for shelf in self._shelves)

    @property
    def bytes_held(self) -> int:
        return sum(shelf.bytes_held for shelf in self._shelves)

    def _digest(self, text: str) -> tuple[int, int]:
        """Two words, never both 0: that marks a free slot."""
        high, low = _TWO_WORDS.unpack(blake2b(text.encode(), digest_size=16, key=self._key).digest())
        return high, low or 1


class _Shelf:
    """One table with open addressing; its slots are a power of two."""

    __slots__ = ("_words", "slots", "used")

    def __init__(self, slots: int = FIRST_SLOTS) -> None:
        self.slots, self.used = slots, 0
        self._words = array("Q", bytes(slots * WORDS * BYTES_PER_WORD))

    @property
    def bytes_held(self) -> int:
        return len(self._words) * BYTES_PER_WORD

    def has(self, high: int, low: int) -> bool:
        return bool(self._words[self._place(high, low) + 1])

    def put(self, high: int, low: int) -> None:
        at = self._place(high, low)
        if not self._words[at + 1]:
            self.used += 1
        self._words[at : at + WORDS] = array("Q", (high, low))
        if 3 * self.used > 2 * self.slots:
            self._double()

    def _place(self, high: int, low: int) -> int:
        """Where the digest's words are, or the free place where they belong."""
        words, last = self._words, len(self._words)
        at = low % self.slots * WORDS
        while words[at + 1] and (words[at] != high or words[at + 1] != low):
            at = (at + WORDS) % last
        return at

    def _double(self) -> None:
        larger = _Shelf(2 * self.slots)
        for at in range(0, len(self._words), WORDS):
            high, low = self._words[at : at + WORDS]
            if low:
                larger.put(high, low)
        self._words, self.slots = larger._words, larger.slots
