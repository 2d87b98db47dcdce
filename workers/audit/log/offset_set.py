"""A set of places, one bit for each offset up to the highest that was added."""

from collections import defaultdict

from schemas.letter import Place


class OffsetSet:
    """To be given only places that were read: an invented offset would cost memory up to its number."""

    def __init__(self) -> None:
        self._bits: defaultdict[tuple[str, int], bytearray] = defaultdict(bytearray)
        self._first: dict[tuple[str, int], int] = {}

    def add(self, place: Place) -> None:
        where = place.topic, place.partition
        at = place.offset - self._first.setdefault(where, place.offset // 8 * 8)
        if at < 0:
            at = self._make_room(where, -at) + at
        bits = self._bits[where]
        if len(bits) <= at // 8:
            bits.extend(bytes(at // 8 + 1 - len(bits)))
        bits[at // 8] |= 1 << at % 8

    def __contains__(self, place: Place) -> bool:
        where = place.topic, place.partition
        at = place.offset - self._first.get(where, 0)
        bits = self._bits.get(where, b"")
        return 0 <= at < 8 * len(bits) and bool(bits[at // 8] & 1 << at % 8)

    def _make_room(self, where: tuple[str, int], offsets: int) -> int:
        """Let so many offsets more fit before the first; how many were added."""
        missing = -(-offsets // 8)
        self._bits[where][:0] = bytes(missing)
        self._first[where] -= 8 * missing
        return 8 * missing
