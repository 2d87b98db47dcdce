"""Which auction a record belongs to, told from its bytes alone and without the workers' envelope code."""

import json
from typing import Any

from schemas.identity import derive
from schemas.letter import Place
from schemas.record import Record
from schemas.topics import CHARGED, COMMITMENTS, DEAD_LETTERS, GENERATED, QUERIES, SCORED, SETTLED, TERMS

#: The topics to be read. Those that later stages write come later: their ends are then asked for later, too.
NAMES = (
    QUERIES.name,
    GENERATED.name,
    SCORED.name,
    SETTLED.name,
    CHARGED.name,
    COMMITMENTS.name,
    TERMS.name,
    *DEAD_LETTERS,
)

MOST_SEARCHED_BYTES = 16 * 1024 * 1024


def place_of(record: Record) -> Place:
    return Place(record.topic, record.partition, record.offset)


def auction_of_query(record: Record) -> str | None:
    """The id that the auction of a query record must have; None where its key or value cannot name a query."""
    origin = record.origin
    try:
        subject = _declared(record.value) if record.key is None else record.key.decode()
        return derive("auction", *origin, subject or derive("query", *origin)[:32])
    except UnicodeError:  # the key is not UTF-8, or the value names half of a character (JSON's \ud800)
        return None


def auction_in(value: bytes | None) -> str | None:
    """The auction id that a stage's event names; None for what is no such event."""
    found = _object(value).get("auction_id")
    return found if isinstance(found, str) and len(found) == 64 else None


def _declared(value: bytes | None) -> str | None:
    found = _object(value).get("query_id")
    return found if isinstance(found, str) else None


def _object(value: bytes | None) -> dict[str, Any]:
    """The JSON object, an empty one for anything else."""
    if not value or len(value) > MOST_SEARCHED_BYTES:
        return {}
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
