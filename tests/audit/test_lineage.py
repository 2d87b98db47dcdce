"""A bill follows from its query: what was asked, who may bid and with what, and what was drawn."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from schemas.record import Record
from schemas.topics import GENERATED, QUERIES, SCORED
from workers.audit.log.lineage import Break, Lineage

KINDS = {QUERIES.name: "query", GENERATED.name: "generated", SCORED.name: "scored"}
ID = "q1"


def told(log: Sequence[Record], **changes: dict[str, Any]) -> list[Break]:
    """The kinds of what does not follow in the auction of ID, with other fields in the event of a kind."""
    lineage = Lineage()
    for record in log:
        kind = KINDS.get(record.topic)
        if kind is not None and record.key == ID.encode():
            lineage.add(kind, json.dumps(json.loads(record.value or b"") | changes.get(kind, {})).encode())
    assert lineage.query and lineage.generated and lineage.scored
    return list(dict.fromkeys(said.kind for said in lineage.differences()))


FRAUDS: dict[str, tuple[dict[str, dict[str, Any]], Break]] = {
    "no consent": ({"query": {"advertising_consent": False}}, Break.NO_CONSENT),
    "nobody in the query": ({"query": {"advertisers": []}}, Break.UNKNOWN_BIDDER),
    "another question": ({"query": {"text": "Something else?"}}, Break.OTHER_QUESTION),
    "other candidates": ({"scored": {"candidates": []}}, Break.OTHER_CANDIDATES),
    "another fallback": ({"scored": {"fallback": {}}}, Break.OTHER_CANDIDATES),
}


def test_nothing_is_found_in_a_right_log(log: list[Record]) -> None:
    assert told(log) == []


@pytest.mark.parametrize("fraud", FRAUDS)
def test_an_auction_that_is_not_its_querys_is_found_by_name(log: list[Record], fraud: str) -> None:
    changes, name = FRAUDS[fraud]

    assert told(log, **changes) == [name]


def test_a_range_that_differs_from_the_declared_one_is_found(log: list[Record]) -> None:
    asked = next(json.loads(one.value or b"") for one in log if one.topic == QUERIES.name and one.key == ID.encode())
    declared = [{**one, "reward_range_micros": [-1, 1]} for one in asked["advertisers"]]

    assert told(log, query={"advertisers": declared}) == [Break.OTHER_BID]
