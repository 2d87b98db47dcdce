"""Whether an auction is that of its query: query, generated and scored event compared field by field."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from schemas.auction import CandidatesGenerated
from schemas.payload import BadRecord
from schemas.query import Advertiser, QuerySubmitted

ASKED = ("text", "language", "category")
OWN = "abstentions"  # scoring adds to them


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

    def differences(self) -> Iterator[str]:
        """What does not follow, by name; nothing where an event is not in the log."""
        if self.query is not None:
            for generated in self.generated:
                yield from from_query(self.query, generated)
        if self.generated and self.scored is not None:
            yield from min((from_generated(one, self.scored) for one in self.generated), key=len)


def from_query(query: QuerySubmitted, generated: dict[str, Any]) -> Iterator[str]:
    """In what a generated event is not one of the query."""
    question, bidders = generated["question"], generated["advertisers"]
    for name in ASKED:
        if question.get(name) != getattr(query, name):
            yield f"other_question: {name} of the generated event is {question.get(name)!r}, of the query another"
    if bidders and not query.advertising_consent:
        yield "no_consent: the query does not consent to advertising, and advertisers take part"
    declared = {one.advertiser_id: one for one in query.advertisers}
    for bidder in bidders:
        yield from _from_declared(declared.get(bidder["advertiser_id"]), bidder)
        if blocked := set(bidder["categories"]) & set(query.blocked_categories):
            yield f"blocked_category: {bidder['advertiser_id']} takes part in spite of {', '.join(sorted(blocked))}"


def _from_declared(advertiser: Advertiser | None, bidder: dict[str, Any]) -> Iterator[str]:
    if advertiser is None:
        yield f"unknown_bidder: {bidder['advertiser_id']} takes part and is not in the query"
        return
    for name, value in advertiser.model_dump(mode="json").items():
        if value is not None and bidder.get(name) != value:
            yield f"other_bid: {name} of {advertiser.advertiser_id} is {bidder.get(name)!r}, in the query {value!r}"


def from_generated(generated: dict[str, Any], scored: dict[str, Any]) -> list[str]:
    """In what a scored event is not one of the generated one. A scoring of an older release leaves new fields out."""
    return [
        f"other_candidates: {name} of the scored event is not that of the generated one"
        for name, value in generated.items()
        if name != OWN and scored.get(name) is not None and scored[name] != value
    ]
