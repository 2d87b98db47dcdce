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

ASKED = ("text", "language", "category")
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
    NO_GENERATED = "no_generated"  # event of a scored auction is in the log: nobody drew its candidates


class Difference(NamedTuple):
    """Where the line from the query to the scored event breaks."""

    kind: Break
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


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
        if bidder.get("profile_version") is not None:
            yield from _from_registry(query, bidder)
        else:
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


def _from_registry(query: QuerySubmitted, bidder: dict[str, Any]) -> Iterator[Difference]:
    """A registered advertiser bids where the query names it, or where it names nobody and so finds some.

    Its bid is its profile's, which is not compared here.
    """
    finds_some = query.advertiser_ids is None and not query.advertisers
    if not finds_some and bidder["advertiser_id"] not in (query.advertiser_ids or ()):
        said = f"{bidder['advertiser_id']} takes part by its profile, and the query names others"
        yield Difference(Break.UNKNOWN_BIDDER, said)


def from_generated(generated: dict[str, Any], scored: dict[str, Any]) -> list[Difference]:
    """In what a scored event is not one of the generated one. A scoring of an older release leaves new fields out."""
    return [
        Difference(Break.OTHER_CANDIDATES, f"{name} of the scored event is not that of the generated one")
        for name, value in generated.items()
        if name != OWN and scored.get(name) is not None and scored[name] != value
    ]
