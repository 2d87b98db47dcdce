"""Whether an auction is that of its query: query, generated and scored event compared field by field."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any, NamedTuple

from schemas.auction import CandidatesGenerated
from schemas.payload import BadRecord
from schemas.query import Advertiser, QuerySubmitted

ASKED = ("text", "language", "category")
OWN = "abstentions"  # scoring adds to them


@unique
class Break(StrEnum):
    """In what an auction is not its query's."""

    OTHER_QUESTION = "other_question"  # than was asked
    NO_CONSENT = "no_consent"  # to advertising, and advertisers take part
    UNKNOWN_BIDDER = "unknown_bidder"  # takes part, and is not in the query
    OTHER_BID = "other_bid"  # than the advertiser declared in the query
    BLOCKED_CATEGORY = "blocked_category"  # of an advertiser that takes part
    OTHER_CANDIDATES = "other_candidates"  # were scored than were generated, or another field is


class Difference(NamedTuple):
    """Where the line from the query to the scored event breaks."""

    kind: Break
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


@dataclass(slots=True)
class Lineage:
    """What one auction's events were. Generated again, it has several generated events; it is scored from one."""

    query: QuerySubmitted | None = None
    generated: list[dict[str, Any]] = field(default_factory=list)
    scored: dict[str, Any] | None = None

    def add(self, kind: str, value: bytes | None) -> None:
        """An event of that kind; what cannot be read is refused by its stage."""
        try:
            if kind == "query":
                self.query = QuerySubmitted.decode(value)
            elif kind == "generated":
                CandidatesGenerated.decode(value)  # a stranger's record is none
                self.generated.append(json.loads(value or b""))
            else:
                self.scored = json.loads(value or b"")
        except (BadRecord, ValueError):
            return

    def differences(self) -> Iterator[Difference]:
        """What does not follow; nothing where an event is not in the log."""
        if self.query is not None:
            for generated in self.generated:
                yield from from_query(self.query, generated)
        if self.generated and self.scored is not None:
            yield from min((from_generated(one, self.scored) for one in self.generated), key=len)


def from_query(query: QuerySubmitted, generated: dict[str, Any]) -> Iterator[Difference]:
    """In what a generated event is not one of the query."""
    question, bidders = generated["question"], generated["advertisers"]
    for name in ASKED:
        if question.get(name) != getattr(query, name):
            said = f"{name} of the generated event is {question.get(name)!r}, of the query another"
            yield Difference(Break.OTHER_QUESTION, said)
    if bidders and not query.advertising_consent:
        yield Difference(Break.NO_CONSENT, "the query does not consent to advertising, and advertisers take part")
    declared = {one.advertiser_id: one for one in query.advertisers}
    for bidder in bidders:
        yield from _from_declared(declared.get(bidder["advertiser_id"]), bidder)
        if blocked := set(bidder["categories"]) & set(query.blocked_categories):
            said = f"{bidder['advertiser_id']} takes part in spite of {', '.join(sorted(blocked))}"
            yield Difference(Break.BLOCKED_CATEGORY, said)


def _from_declared(advertiser: Advertiser | None, bidder: dict[str, Any]) -> Iterator[Difference]:
    if advertiser is None:
        yield Difference(Break.UNKNOWN_BIDDER, f"{bidder['advertiser_id']} takes part and is not in the query")
        return
    for name, value in advertiser.model_dump(mode="json").items():
        if value is not None and bidder.get(name) != value:
            said = f"{name} of {advertiser.advertiser_id} is {bidder.get(name)!r}, in the query {value!r}"
            yield Difference(Break.OTHER_BID, said)


def from_generated(generated: dict[str, Any], scored: dict[str, Any]) -> list[Difference]:
    """In what a scored event is not one of the generated one. A scoring of an older release leaves new fields out."""
    return [
        Difference(Break.OTHER_CANDIDATES, f"{name} of the scored event is not that of the generated one")
        for name, value in generated.items()
        if name != OWN and scored.get(name) is not None and scored[name] != value
    ]
