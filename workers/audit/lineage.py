"""In what an auction is not its query's: query, generated and scored event compared field by field."""

from collections.abc import Iterator
from enum import StrEnum, unique
from typing import Any, NamedTuple

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


def from_query(query: QuerySubmitted, query_sha256: str, generated: dict[str, Any]) -> Iterator[Difference]:
    """In what a generated event, or a scored one, which has its fields, is not one of the query."""
    question, bidders, record = generated["question"], generated["advertisers"], generated.get("query_record")
    if record is not None and record["sha256"] != query_sha256:
        yield Difference(Break.OTHER_QUERY, f"the auction names a query with SHA-256 {record['sha256']}")
    for name in ASKED:
        if question.get(name) != getattr(query, name):
            said = f"{name} of the auction is {question.get(name)!r}, of the query another"
            yield Difference(Break.OTHER_QUESTION, said)
    yield from _consent(query, generated)
    declared = {one.advertiser_id: one for one in query.advertisers}
    for bidder in bidders:
        if bidder.get("profile_version") is None:
            yield from _from_declared(declared.get(bidder["advertiser_id"]), bidder)
        elif not _asks_for(query, bidder["advertiser_id"]):
            said = f"{bidder['advertiser_id']} takes part by its profile, and the query asks for others"
            yield Difference(Break.UNKNOWN_BIDDER, said)
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
        yield Difference(Break.OTHER_CONSENT, "the auction says another consent than the query")


def _asks_for(query: QuerySubmitted, advertiser_id: str) -> bool:
    """Whether a registered advertiser may bid: the query names it, or leaves it to the question whom it finds."""
    if query.advertiser_ids is None:
        return not query.advertisers
    return advertiser_id in query.advertiser_ids


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
