"""An audit of a log with queries and generated events compares each auction with them, field by field."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from schemas.envelope import from_record
from schemas.lines import query_line, to_line
from schemas.record import Record
from schemas.topics import BY_NAME, GENERATED, QUERIES, SCORED
from tests.audit.campaign_log import SECRET, edited
from tests.audit.test_lineage import FRAUDS, data, encoded, one
from workers.audit.auditor import Audit
from workers.audit.entries import NAMES, SOURCES, read_line, read_record
from workers.audit.findings import CHECK_OF, Check, Finding, Kind, Tally
from workers.audit.lineage import Break

FOUND = {name: lie for name, lie in FRAUDS.items() if lie[1] is not Break.OTHER_GENERATED}  # which is not in the log


def audited(log: Iterable[Record], names: Sequence[str] = (*SOURCES, *NAMES)) -> tuple[Tally, set[Kind]]:
    """The verdict on what these topics hold, each read after the one before; and the kinds found of lineage."""
    found: list[Finding] = []
    audit, records = Audit(found.append, [SECRET]), list(log)
    for name in names:
        for entry in filter(None, (read_record(record) for record in records if record.topic == name)):
            audit.add(entry)
    tally = audit.finish()
    audit.close()
    return tally, {one.kind for one in found if CHECK_OF[one.kind] is Check.LINEAGE}


def lied(log: Sequence[Record], **changes: dict[str, Any]) -> Sequence[Record]:
    """The log with other fields in the events of one auction, by somebody who corrects every digest."""
    records = {kind: one(log, topic.name) for kind, topic in KINDS.items()}
    query = encoded(data(records["query"], **changes.get("query", {})))
    generated = data(records["generated"])
    named = {"query_record": generated["query_record"] | {"sha256": sha256(query).hexdigest()}}
    generated |= named | changes.get("generated", {})
    own = {name: generated[name] for name in changes.get("generated", {})} | changes.get("scored", {})
    scored = data(records["scored"]) | named | own | {"generated_sha256": sha256(encoded(generated)).hexdigest()}
    for kind, value in (("query", query), ("generated", encoded(generated)), ("scored", encoded(scored))):
        log = edited(log, records[kind], value=value)
    return log


KINDS = {"query": QUERIES, "generated": GENERATED, "scored": SCORED}


def test_in_a_right_log_every_auction_fits_its_query(log: list[Record]) -> None:
    tally, found = audited(log)

    assert found == set() and not tally.wrong[Check.LINEAGE]
    assert tally.checked[Check.LINEAGE] == len([record for record in log if record.topic == SCORED.name])


@pytest.mark.parametrize("fraud", ["no consent", "nobody in the query", "another question", "a narrower range"])
def test_an_auction_that_is_not_its_querys_is_found_though_every_digest_is_right(log: list[Record], fraud: str) -> None:
    changes, kind = FOUND[fraud]

    assert Kind(kind.value) in audited(lied(log, **changes))[1]


def test_candidates_of_another_event_than_was_generated_are_found(log: list[Record]) -> None:
    fallback = data(one(log, SCORED.name))["fallback"] | {"text": "Buy alpha."}

    assert audited(lied(log, scored={"fallback": fallback}))[1] == {Kind.OTHER_CANDIDATES}


def test_another_query_than_stands_where_the_auction_says_is_found(log: list[Record]) -> None:
    query = one(log, QUERIES.name)
    other = edited(log, query, value=encoded(data(query, draw_nonce="ab")))

    assert audited(other)[1] == {Kind.OTHER_QUERY}


def test_auctions_whose_query_is_gone_are_not_verifiable(log: list[Record]) -> None:
    gone = one(log, QUERIES.name)

    tally, found = audited([record for record in log if record is not gone])

    assert found == set() and tally.unverifiable[Check.LINEAGE] == 1


def test_a_log_without_queries_says_nothing_of_them(log: list[Record]) -> None:
    tally, _ = audited(log, NAMES)

    assert tally.checked[Check.LINEAGE] == tally.unverifiable[Check.LINEAGE] == 0


def test_queries_and_generated_events_come_through_their_lines_byte_for_byte(log: list[Record]) -> None:
    spread = replace(one(log, QUERIES.name), value=json.dumps(data(one(log, QUERIES.name)), indent=2).encode())
    for record in (spread, one(log, QUERIES.name), one(log, GENERATED.name)):
        event = from_record(record, BY_NAME[record.topic])
        line = query_line(event) if record.topic == QUERIES.name else to_line(event)
        read, direct = read_line(line, 1), read_record(record)
        assert b"\n" not in line and read is not None and direct is not None
        assert (read.data, read.sha256, read.key) == (direct.data, direct.sha256, direct.key)
        assert record.topic != QUERIES.name or read.origin == direct.origin == record.origin


def test_a_query_that_generation_refused_is_passed_over() -> None:
    assert read_record(Record(QUERIES.name, b"q", b"no JSON")) is None
