"""Dead letters found by their places, out of all those of their topics."""

from collections.abc import AsyncIterator, Sequence

from schemas.letter import DeadLetter, Place
from workers.errors import TesseraError


async def find(letters: AsyncIterator[DeadLetter], places: Sequence[Place]) -> list[DeadLetter]:
    """The dead letters at these places, in this order, out of all of their topics. TesseraError: one is not there."""
    found: dict[Place, DeadLetter] = {}
    edges: dict[tuple[str, int], tuple[int, int]] = {}  # first and last offset of each partition
    async for letter in letters:
        place = letter.place
        first, _ = edges.setdefault((place.topic, place.partition), (place.offset, place.offset))
        edges[place.topic, place.partition] = first, place.offset
        if place in places:
            found[place] = letter
    for place in places:
        if place not in found:
            raise TesseraError(_why_missing(place, edges.get((place.topic, place.partition))))
    return [found[place] for place in places]


def _why_missing(place: Place, edges: tuple[int, int] | None) -> str:
    if edges is None:
        return f"there is no dead letter {place}: partition {place.partition} of {place.topic} holds none"
    first, last = edges
    if place.offset < first:
        return f"there is no dead letter {place} any more: the oldest that Kafka still keeps there is at offset {first}"
    if place.offset > last:
        return f"there is no dead letter {place} yet: the newest there is at offset {last}"
    return f"there is no dead letter {place}: that offset holds none (Kafka marks transactions there)"
