"""Ids that are known, and what each stands for: tables of digests, in a fraction of what a dict of strings takes."""

import os
from array import array
from hashlib import blake2b
from struct import Struct

BYTES_PER_WORD = 8
SHELVES = 1_024  # tables that grow one by one: doubling all at once would hold up the event loop for seconds
FIRST_SLOTS = 8
ID_WORDS = 2  # of the id's digest, in each slot
_TWO_WORDS = Struct("<QQ")


class KnownIds:
    """A map from ids to a few texts each, of which it keeps 64 bits of a digest: it can say whether they are the same.

    Between a third and two thirds of the slots are in use. A slot has two words for the id and one for each text: with
    one text 36 to 72 bytes for each id, 403 MB for ten million; with two 48 to 96.
    Two ids are taken for one with a probability of 2**-128 for each pair, two texts with 2**-64; the digests are keyed
    by a number of this process, so nobody can choose ids that collide, or that crowd one table.
    """

    def __init__(self, texts: int = 1) -> None:
        self._key = os.urandom(16)
        self._shelves = [_Shelf(ID_WORDS + texts) for _ in range(SHELVES)]

    def add(self, id_: str, *texts: str) -> None:
        """From now on the id stands for these texts."""
        high, low = self._digest(id_)
        self._shelves[high % SHELVES].put(high, low, *map(self.word, texts))

    def find(self, id_: str) -> tuple[int, ...] | None:
        """The `word` of each text that the id stands for; None for an id that is not known."""
        high, low = self._digest(id_)
        return self._shelves[high % SHELVES].get(high, low)

    def word(self, text: str) -> int:
        """64 bits of the text's digest."""
        return self._digest(text)[0]

    def __contains__(self, id_: str) -> bool:
        """Whether the id is known, whatever it stands for."""
        return self.find(id_) is not None

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
    """One table with open addressing; its slots are a power of two, and have so many words each."""

    __slots__ = ("_cells", "_words", "slots", "used")

    def __init__(self, words: int, slots: int = FIRST_SLOTS) -> None:
        self.slots, self.used, self._words = slots, 0, words
        self._cells = array("Q", bytes(slots * words * BYTES_PER_WORD))

    @property
    def bytes_held(self) -> int:
        return len(self._cells) * BYTES_PER_WORD

    def get(self, high: int, low: int) -> tuple[int, ...] | None:
        at = self._place(high, low)
        return tuple(self._cells[at + ID_WORDS : at + self._words]) if self._cells[at + 1] else None

    def put(self, high: int, low: int, *texts: int) -> None:
        at = self._place(high, low)
        if not self._cells[at + 1]:
            self.used += 1
        self._cells[at : at + self._words] = array("Q", (high, low, *texts))
        if 3 * self.used > 2 * self.slots:
            self._double()

    def _place(self, high: int, low: int) -> int:
        """Where the digest's words are, or the free place where they belong."""
        cells, last = self._cells, len(self._cells)
        at = low % self.slots * self._words
        while cells[at + 1] and (cells[at] != high or cells[at + 1] != low):
            at = (at + self._words) % last
        return at

    def _double(self) -> None:
        larger = _Shelf(self._words, 2 * self.slots)
        for at in range(0, len(self._cells), self._words):
            high, low, *texts = self._cells[at : at + self._words]
            if low:
                larger.put(high, low, *texts)
        self._cells, self.slots = larger._cells, larger.slots
