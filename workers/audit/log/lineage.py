"""Whether an auction is that of its query: query, generated and scored event compared field by field."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from hashlib import sha256
from typing import Any, NamedTuple

from schemas.auction import CandidatesGenerated
from schemas.payload import BadRecord
from schemas.query import Advertiser, QuerySubmitted
from workers.audit.disk_map import DiskMap

ASKED = ("text", "language", "category")
OF_QUERY = ("question", "advertisers", "query_record", "consent")
OWN = "abstentions"  # scoring adds to them


@unique
class Break(StrEnum):
    """In what an auction is not its query's."""

    OTHER_QUESTION = "other_question"  # than was asked
    NO_CONSENT = "no_consent"  # to advertising, and advertisers take part
    UNKNOWN_BIDDER = "unknown_bidder"  # takes part, and is not in the query
    OTHER_BID = "other_bid"  # than the advertiser declared in the query
    OTHER_CONSENT = "other_consent"  # or another GPP or TCF string, than the query's is said to be
    OTHER_QUERY = "other_query"  # is named by the generated event than is in the log
    OTHER_GENERATED = "other_generated"  # event is named by the scored one than is in the log
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
    query_sha256: str = ""
    generated: dict[str, dict[str, Any]] = field(default_factory=dict)  # by the SHA-256 of the value
    scored: dict[str, Any] | None = None

    def add(self, kind: str, value: bytes | None) -> None:
        """An event of that kind; what cannot be read is refused by its stage."""
        value = value or b""
        try:
            if kind == "query":
                self.query, self.query_sha256 = QuerySubmitted.decode(value), sha256(value).hexdigest()
            elif kind == "generated":
                CandidatesGenerated.decode(value)  # a stranger's record is none
                self.generated[sha256(value).hexdigest()] = json.loads(value)
            else:
                self.scored = json.loads(value)
        except (BadRecord, ValueError):
            return

    def differences(self) -> Iterator[Difference]:
        """What does not follow; nothing where an event is not in the log."""
        if self.query is not None:
            for generated in self.generated.values():
                yield from from_query(self.query, self.query_sha256, generated)
        if self.generated and self.scored is not None:
            yield from self._from_generated(self.scored)

    def _from_generated(self, scored: dict[str, Any]) -> Sequence[Difference]:
        """A scored event of an older release does not name the generated one: it is the one it fits best."""
        named = scored.get("generated_sha256")
        if named is None:
            return min((from_generated(one, scored) for one in self.generated.values()), key=len)
        if named not in self.generated:
            said = "the generated event that the scored one names is another than is in the log"
            return [Difference(Break.OTHER_GENERATED, said)]
        return from_generated(self.generated[named], scored)


@dataclass
class LateQueries:
    """Auctions that were over before their query was read: its clock was ahead. What is compared then waits on disk."""

    _waiting: DiskMap = field(default_factory=DiskMap)  # JSON of a generated event by auction

    def keep(self, auction_id: str, lineage: Lineage) -> None:
        """An auction is over."""
        if lineage.query is None and lineage.generated:
            generated = next(iter(lineage.generated.values()))
            self._waiting.put(auction_id, json.dumps({name: generated.get(name) for name in OF_QUERY}))

    def compare(self, auction_id: str, value: bytes | None) -> Iterator[Difference]:
        """The auction's query is read; in what the generated event was not its."""
        if (text := self._waiting.get(auction_id)) is None:
            return
        lineage = Lineage(generated={"": json.loads(text)})
        lineage.add("query", value)
        yield from lineage.differences()

    def close(self) -> None:
        """Let go of the temporary file."""
        self._waiting.close()


def from_query(query: QuerySubmitted, query_sha256: str, generated: dict[str, Any]) -> Iterator[Difference]:
    """In what a generated event is not one of the query."""
    question, bidders, record = generated["question"], generated["advertisers"], generated.get("query_record")
    if record is not None and record["sha256"] != query_sha256:
        yield Difference(Break.OTHER_QUERY, f"the generated event names a query with SHA-256 {record['sha256']}")
    for name in ASKED:
        if question.get(name) != getattr(query, name):
            said = f"{name} of the generated event is {question.get(name)!r}, of the query another"
            yield Difference(Break.OTHER_QUESTION, said)
    yield from _consent(query, generated)
    declared = {one.advertiser_id: one for one in query.advertisers}
    for bidder in bidders:
        yield from _from_declared(declared.get(bidder["advertiser_id"]), bidder)
        if blocked := set(bidder["categories"]) & set(query.blocked_categories):
            said = f"{bidder['advertiser_id']} takes part in spite of {', '.join(sorted(blocked))}"
            yield Difference(Break.BLOCKED_CATEGORY, said)


def _consent(query: QuerySubmitted, generated: dict[str, Any]) -> Iterator[Difference]:
    """Releases that did not name the query's record took one that said nothing of consent for a consenting one."""
    said, is_older = generated.get("consent"), generated.get("query_record") is None
    consents = query.advertising_consent or (is_older and "advertising_consent" not in query.model_fields_set)
    if generated["advertisers"] and not consents:
        yield Difference(Break.NO_CONSENT, "the query does not consent to advertising, and advertisers take part")
    if said is not None and said != {"advertising": query.advertising_consent, "gpp": query.gpp, "tcf": query.tcf}:
        yield Difference(Break.OTHER_CONSENT, "the generated event says another consent than the query")


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
