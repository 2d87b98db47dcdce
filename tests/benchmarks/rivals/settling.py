"""Settlement's work on one record, for any consumer: bytes in, records out. Needs none of our workers' dependencies."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

from schemas.envelope import from_record
from schemas.record import Headers, Outgoing, Record
from schemas.topics import SCORED
from workers.mechanism.epochs import epoch_key
from workers.settlement import settle_event

DRAW_KEY = b"draw key of the tests, known to everyone"


def settler() -> Callable[[bytes, bytes, Headers], Sequence[Outgoing]]:
    """From key, value and headers of a scored event to the records of its reply and its charges."""
    key_of = lru_cache(partial(epoch_key, DRAW_KEY))

    def settle(key: bytes, value: bytes, headers: Headers) -> Sequence[Outgoing]:
        event: Any = from_record(Record(SCORED.name, key, value, headers), SCORED)
        return [settled.to_record() for settled in settle_event(event, key_of(event.data.draw_epoch))]

    return settle
