"""Ids that are known, and whose each is: hash tables of digests, in a fraction of what a dict of strings takes."""

import os
from array import array
from hashlib import blake2b
from struct import Struct

BYTES_PER_SLOT = 24  # two words of the id's digest, one of its holder's
SHELVES = 1_024  # tables that grow one by one: doubling all at once would hold up the event loop for seconds
FIRST_SLOTS = 8
WORDS = 3
_TWO_WORDS = Struct("<QQ")


class KnownIds:
    """A map from ids to holders that can only be asked whether an id is known, and whether it has another holder.

    Between a third and two thirds of the slots are in use: 36 to 72 bytes for each id, 403 MB for ten million.
    Two ids are taken for one with a probability of 2**-128 for each pair; the digests are keyed by a number of this
    process, so nobody can choose ids that collide, or that crowd one table.
    """

    def __init__(self) -> None:
        self._key = os.urandom(16)
        self._shelves = [_Shelf() for _ in range(SHELVES)]

    def add(self, id_: str, holder: str) -> None:
        """From now on the id is the holder's."""
        high, low = self._digest(id_)
        self._shelves[high % SHELVES].put(high, low, self._digest(holder)[0])

    def has_another(self, id_: str, holder: str) -> bool:
        """Whether the id is known as somebody else's than the holder's."""
        high, low = self._digest(id_)
        found = self._shelves[high % SHELVES].get(high, low)
        return found is not None and found != self._digest(holder)[0]

    def __contains__(self, id_: str) -> bool:
        """Whether the id is known, whoever holds it."""
        high, low = self._digest(id_)
        return self._shelves[high % SHELVES].get(high, low) is not None

    def __len__(self) -> int:
        return sum(shelf.used for shelf in self._shelves)

    @property
    def bytes_held(self) -> int:
        return sum(shelf.slots * BYTES_PER_SLOT for shelf in self._shelves)

    def _digest(self, text: str) -> tuple[int, int]:
        """Two words, never both 0: that marks a free slot."""
        high, low = _TWO_WORDS.unpack(blake2b(text.encode(), digest_size=16, key=self._key).digest())
        return high, low or 1


class _Shelf:
    """One table with open addressing; its slots are a power of two."""

    __slots__ = ("_words", "slots", "used")

    def __init__(self, slots: int = FIRST_SLOTS) -> None:
        self.slots, self.used = slots, 0
        self._words = array("Q", bytes(slots * BYTES_PER_SLOT))

    def get(self, high: int, low: int) -> int | None:
        at = self._place(high, low)
        return self._words[at + 2] if self._words[at + 1] else None

    def put(self, high: int, low: int, holder: int) -> None:
        at = self._place(high, low)
        if not self._words[at + 1]:
            self.used += 1
        self._words[at : at + WORDS] = array("Q", (high, low, holder))
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
            high, low, holder = self._words[at : at + WORDS]
            if low:
                larger.put(high, low, holder)
        self._words, self.slots = larger._words, larger.slots
