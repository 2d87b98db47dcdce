"""A bill follows from its query: what was asked, who may bid and with what, and what was drawn."""

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from schemas.record import Record
from schemas.topics import GENERATED, QUERIES, SCORED
from tests.audit.campaign_log import ADVERTISERS, appended, broken, edited, of, row, verified
from workers.audit.lineage import Break
from workers.audit.log.horizon import Horizon
from workers.audit.log.late_events import LateEvents
from workers.audit.log.lineage import Lineage

ID = "q1"
Event = dict[str, Any]


def one(log: Sequence[Record], topic: str) -> Record:
    """The record of ID on a topic."""
    return next(record for record in of(log, topic) if record.key == ID.encode())


def data(record: Record, **changes: Any) -> Event:
    """What the record says, with other fields; None takes one out."""
    found = json.loads(record.value or b"") | changes
    return {name: value for name, value in found.items() if value is not None}


def encoded(event: Event) -> bytes:
    return json.dumps(event).encode()


def told(log: Sequence[Record], *, names_query: bool = True, **changes: Event) -> list[Break]:
    """The kinds of what does not follow in the auction of ID, with other fields in the event of a kind.

    Digests are those of what is there, but where something else is said. `names_query`: also the query's.
    """
    query = encoded(data(one(log, QUERIES.name), **changes.get("query", {})))
    generated = data(one(log, GENERATED.name))
    if names_query:
        generated["query_record"]["sha256"] = sha256(query).hexdigest()
    generated |= changes.get("generated", {})
    scored = data(one(log, SCORED.name)) | {name: generated[name] for name in changes.get("generated", {})}
    scored |= {"query_record": generated["query_record"]}
    scored["generated_sha256"] = sha256(encoded(generated)).hexdigest()
    lineage = Lineage()
    lineage.add("query", query)
    lineage.add("generated", encoded(generated))
    lineage.add("scored", encoded(scored | changes.get("scored", {})))
    missing = [] if lineage.missing is None else [lineage.missing]
    return list(dict.fromkeys(said.kind for said in (*lineage.differences(), *missing)))


DRINKS = [{**bidder, "categories": ["drinks"], "reward_range_micros": [-9, 9]} for bidder in ADVERTISERS]
SOLD = {"advertisers": [{**bidder, "reward_range_micros": [-1, 1]} for bidder in ADVERTISERS]}
FRAUDS: dict[str, tuple[dict[str, Event], Break]] = {
    "no consent": ({"query": {"advertising_consent": False}}, Break.NO_CONSENT),
    "consent left out": ({"query": {"advertising_consent": None}}, Break.NO_CONSENT),
    "another consent": ({"generated": {"consent": {"advertising": False}}}, Break.OTHER_CONSENT),
    "another TCF string": ({"query": {"tcf": "CPXxRfAPXxRfA"}}, Break.OTHER_CONSENT),
    "another GPP string": ({"query": {"gpp": "DBABMA~CPXxRfA"}}, Break.OTHER_CONSENT),
    "nobody in the query": ({"query": {"advertisers": []}}, Break.UNKNOWN_BIDDER),
    "another question": ({"query": {"text": "Something else?"}}, Break.OTHER_QUESTION),
    "another language": ({"query": {"language": "nl"}}, Break.OTHER_QUESTION),
    "a narrower range": ({"query": SOLD}, Break.OTHER_BID),
    "a blocked category": (
        {"query": {"blocked_categories": ["drinks"], "advertisers": DRINKS}, "generated": {"advertisers": DRINKS}},
        Break.BLOCKED_CATEGORY,
    ),
    "other candidates": ({"scored": {"candidates": []}}, Break.OTHER_CANDIDATES),
    "another fallback": ({"scored": {"fallback": {}}}, Break.OTHER_CANDIDATES),
    "another bidder scored": ({"scored": {"advertisers": []}}, Break.OTHER_CANDIDATES),
    "another generated event": ({"scored": {"generated_sha256": "ab" * 32}}, Break.OTHER_GENERATED),
}
CAUSED = {"no consent": {Break.OTHER_CONSENT}, "consent left out": {Break.OTHER_CONSENT}}


def test_nothing_is_found_in_a_right_log(log: list[Record]) -> None:
    assert told(log) == told(log, names_query=False) == []


@pytest.mark.parametrize("fraud", FRAUDS)
def test_an_auction_that_is_not_its_querys_is_found_by_name(log: list[Record], fraud: str) -> None:
    changes, kind = FRAUDS[fraud]

    found = set(told(log, **changes))

    assert kind in found and found - {kind} <= CAUSED.get(fraud, set())


@pytest.mark.parametrize("fraud", FRAUDS)
def test_verify_names_what_is_not_its_querys(log: list[Record], fraud: str) -> None:
    """Planted by somebody who corrects no digest, into the whole log."""
    changes, kind = FRAUDS[fraud]
    lie = log
    for topic, name in ((QUERIES, "query"), (GENERATED, "generated"), (SCORED, "scored")):
        record = one(lie, topic.name)
        lie = edited(lie, record, value=encoded(data(record, **changes[name]))) if name in changes else lie

    report = verified(lie)

    assert 12 in broken(report)
    assert any(f": {kind}: " in said for said in row(report, 12).examples)


REGISTERED = [
    {**bidder, "categories": [], "reward_range_micros": [-9, 9], "profile_version": 1} for bidder in ADVERTISERS
]


@pytest.mark.parametrize("ids", [None, ["alpha", "beta"]])
def test_who_is_registered_bids_by_its_profile_where_the_query_asks_for_it(
    log: list[Record], ids: list[str] | None
) -> None:
    asks = {"advertisers": None, "advertiser_ids": ids}

    assert told(log, query=asks, generated={"advertisers": REGISTERED}) == []


@pytest.mark.parametrize("asks", [{"advertisers": None, "advertiser_ids": ["alpha"]}, {}])
def test_who_is_registered_and_was_not_asked_for_is_found(log: list[Record], asks: Event) -> None:
    assert told(log, query=asks, generated={"advertisers": REGISTERED}) == [Break.UNKNOWN_BIDDER]


def test_an_auction_of_another_query_than_is_named_is_found(log: list[Record]) -> None:
    assert told(log, names_query=False, query={"deadline": "2100-01-01T00:00:00Z"}) == [Break.OTHER_QUERY]


def test_a_query_of_an_older_release_consents_where_it_says_nothing(log: list[Record]) -> None:
    """Its events name neither consent nor the query's record; what it says itself holds as ever."""
    older = {"query_record": None, "consent": None}

    assert told(log, names_query=False, query={"advertising_consent": None}, generated=older) == []
    found = told(log, names_query=False, query={"advertising_consent": False}, generated=older)
    assert found == [Break.NO_CONSENT]


def test_a_query_that_is_read_after_its_auction_is_compared_too(log: list[Record]) -> None:
    """Its producer's clock was ahead, or somebody hopes that nobody looks back."""
    query = one(log, QUERIES.name)
    late = [*(record for record in log if record is not query), query]
    other = edited(late, query, value=encoded(data(query, advertising_consent=False)))

    assert broken(verified(late)) == []
    report = verified(other)
    assert broken(report) == [12]
    assert any("no_consent" in said for said in row(report, 12).examples)


def test_an_auction_scored_from_its_second_generated_event_is_no_finding(log: list[Record]) -> None:
    """Generation's position went back, and the first of the two never came through scoring."""
    generated, scored = one(log, GENERATED.name), one(log, SCORED.name)
    again = encoded(data(generated, received_at="2026-11-29T00:00:00Z"))
    digest = sha256(again).hexdigest()
    value = encoded(data(scored, generated_sha256=digest, received_at="2026-11-29T00:00:00Z"))
    of_second = Lineage()
    for kind, event in (("generated", generated.value), ("generated", again), ("scored", value)):
        of_second.add(kind, event)

    assert list(of_second.differences()) == [] and of_second.missing is None
    doubled = appended(log, generated)
    assert broken(verified([*doubled[:-1], edited([doubled[-1]], doubled[-1], value=again)[0]])) == []


def later(log: Sequence[Record], record: Record, value: bytes | None = None) -> list[Record]:
    """The log with the record behind everything else: the clock of its broker was ahead. Perhaps it says another."""
    moved = replace(record, value=record.value if value is None else value, timestamp_ms=log[-1].timestamp_ms + 1)
    return [*(one for one in log if one is not record), moved]


def test_a_generated_event_that_is_read_after_its_auction_is_compared_too(log: list[Record]) -> None:
    generated = one(log, GENERATED.name)
    first, *others = json.loads(generated.value or b"")["candidates"]
    other = encoded(data(generated, candidates=[{**first, "text": "Buy alpha!"}, *others]))
    digest = sha256(other).hexdigest()

    assert broken(verified(later(log, generated))) == []
    report = verified(later(log, generated, other))
    assert broken(report) == [12] and "other_generated" in row(report, 12).examples[0]
    scored = one(log, SCORED.name)
    named = verified(later(edited(log, scored, value=encoded(data(scored, generated_sha256=digest))), generated, other))
    assert 12 in broken(named) and any("other_candidates" in said for said in row(named, 12).examples)


def test_an_auction_of_a_second_generated_event_that_is_read_late_is_no_finding(log: list[Record]) -> None:
    generated, scored = one(log, GENERATED.name), one(log, SCORED.name)
    again = encoded(data(generated, received_at="2026-11-29T00:00:00Z"))
    digest = sha256(again).hexdigest()
    of_second = encoded(data(scored, generated_sha256=digest, received_at="2026-11-29T00:00:00Z"))
    lineage = Lineage()
    for kind, event in (("query", one(log, QUERIES.name).value), ("generated", generated.value), ("scored", of_second)):
        lineage.add(kind, event)
    late = LateEvents(Horizon())

    late.keep("auction", lineage, 0)

    assert list(late.compare("auction", "generated", again)) == [] and list(late.finish()) == []


def test_candidates_that_nobody_drew_are_found_where_they_must_be_stored(log: list[Record]) -> None:
    """Whoever may write scored events needs no model; what retention has deleted is held against nobody."""
    cut = [record for record in log if record is not one(log, GENERATED.name)]
    begins, newest = {(GENERATED.name, 0): 1}, max(record.timestamp_ms for record in log)

    report = verified(cut)
    assert broken(report) == [12] and "no_generated" in row(report, 12).examples[0]
    unreadable = edited(log, one(log, GENERATED.name), value=b'{"auction_id": "of somebody"}')
    assert "no_generated" in str(row(verified(unreadable), 12).examples)
    assert broken(verified(cut, begins=begins, generated_from_ms=newest + 1)) == []
    assert broken(verified(cut, begins=begins, generated_from_ms=0)) == [12]
