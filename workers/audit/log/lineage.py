"""The events of one auction, from its query to the scored one, and what does not follow among them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from schemas.auction import CandidatesGenerated
from schemas.payload import BadRecord
from schemas.query import QuerySubmitted
from workers.audit.lineage import Break, Difference, from_generated, from_query


@dataclass(slots=True)
class Lineage:
    """What one auction's events were, as bytes. Generated again, it has several; it is scored from one."""

    query: bytes | None = None
    generated: dict[str, bytes] = field(default_factory=dict)  # by the SHA-256 of the value
    scored: bytes | None = None

    def add(self, kind: str, value: bytes | None) -> None:
        """An event of that kind: "query", "generated" or "scored". A generated one that nobody can read is none."""
        value = value or b""
        if kind != "generated":
            setattr(self, kind, value)
        elif _is_generated(value):
            self.generated[sha256(value).hexdigest()] = value

    def differences(self) -> Iterator[Difference]:
        """What does not follow; nothing where an event is not in the log, or cannot be read: its stage refuses it."""
        generated = {digest: json.loads(value) for digest, value in self.generated.items()}
        if self.query is not None and (query := _query(self.query)) is not None:
            digest = sha256(self.query).hexdigest()
            for one in generated.values():
                yield from from_query(query, digest, one)
        if generated and self.scored is not None and (scored := _object(self.scored)) is not None:
            yield from _from_one_of(generated, scored)

    @property
    def missing(self) -> Difference | None:
        """What is said where the generated event that the scored one is of never comes."""
        if self.scored is None:
            return None
        if not self.generated:
            return Difference(Break.NO_GENERATED, "it is scored, and no generated event of it is stored")
        named = (_object(self.scored) or {}).get("generated_sha256")
        if named is None or named in self.generated:
            return None
        return Difference(Break.OTHER_GENERATED, "its scored event names another generated one than is stored")

    def to_text(self) -> str:
        """For a map on disk."""
        return json.dumps([_text(one) for one in (self.query, self.scored, *self.generated.values())])

    @classmethod
    def from_text(cls, text: str) -> "Lineage":
        """What `to_text` wrote."""
        query, scored, *generated = (None if one is None else one.encode("latin-1") for one in json.loads(text))
        return cls(query, {sha256(one).hexdigest(): one for one in generated if one is not None}, scored)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")  # any bytes, each a character


def _query(value: bytes) -> QuerySubmitted | None:
    try:
        return QuerySubmitted.decode(value)
    except BadRecord:
        return None


def _is_generated(value: bytes) -> bool:
    try:
        CandidatesGenerated.decode(value)
    except BadRecord:
        return False
    return True


def _object(value: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _from_one_of(generated: dict[str, dict[str, Any]], scored: dict[str, Any]) -> Sequence[Difference]:
    """A scored event of an older release does not name the generated one: it is the one it fits best."""
    named = scored.get("generated_sha256")
    if named is None:
        return min((from_generated(one, scored) for one in generated.values()), key=len)
    return from_generated(generated[named], scored) if named in generated else ()
