"""An auction whose query id was used before: its dead letter is its end, and nothing may stand beside it."""

from dataclasses import replace

import pytest

from schemas.identity import derive
from schemas.lines import dead_letter_line
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from schemas.topics import SCORED
from tests.audit.logs import Log, lines, make_log
from tests.builders import DRAW_KEY, envelop, make_record
from workers.audit.auditor import Audit
from workers.audit.findings import Finding, Kind
from workers.audit.ledger import Horizon
from workers.audit.reading import read_line, read_record
from workers.cli.query_log import read_lines
from workers.stream.step import dead_letter

FIRST = make_log(1)
SECOND = replace(make_log(1, auction_id=derive("auction", "the same query id once more")), before=())
AT = 1_795_435_200_250


def letter(log: Log, reason: DeadLetterReason = DeadLetterReason.DUPLICATE_QUERY) -> Record:
    """The dead letter of the scored event, as settlement writes it."""
    refused = dead_letter(make_record(envelop(log.scored)), "settlement", reason, "query id query-1 was used before")
    return Record(refused.topic, refused.key, refused.value, refused.headers, timestamp_ms=AT)


def verdict(*given: bytes) -> tuple[list[Kind], dict[str, int]]:
    """Kinds of discrepancy, and the notes, of a file with these lines."""
    found: list[Finding] = []
    audit = Audit(found.append, [DRAW_KEY])
    for number, line in enumerate(given, 1):
        if (entry := read_line(line, number)) is not None:
            audit.add(entry)
    notes = audit.finish().notes
    return [finding.kind for finding in found], {name: notes[name] for name in ("auctions", "duplicates")}


def test_a_refused_duplicate_is_no_missing_reply() -> None:
    scored, refused = lines([SECOND.scored]), dead_letter_line(letter(SECOND))

    for order in ([*scored, refused], [refused, *scored]):
        assert verdict(*lines(FIRST.payloads()), *order) == ([], {"auctions": 1, "duplicates": 1})


def test_without_its_letter_it_is() -> None:
    other = dead_letter_line(letter(SECOND, DeadLetterReason.BAD_SCHEMA))

    assert verdict(*lines([*FIRST.payloads(), SECOND.scored]), other)[0] == [Kind.MISSING_TERMINAL]


@pytest.mark.parametrize("late", [False, True], ids=["before its letter", "after its letter"])
def test_a_duplicate_that_was_billed_all_the_same_is_found(late: bool) -> None:
    scored, reply, *bills = lines(SECOND.payloads())
    refused = dead_letter_line(letter(SECOND))
    log = lines(FIRST.payloads())

    replied = verdict(*log, scored, *([refused, reply] if late else [reply, *bills, refused]))
    billed = verdict(*log, scored, *([refused, *bills] if late else [*bills, refused]))

    assert replied[0] == [Kind.SECOND_TERMINAL]
    assert billed[0] == [Kind.EXTRA_CHARGE] * len(bills)


def test_on_kafka_the_letter_is_read_from_its_topic() -> None:
    audit = Audit(lambda finding: None, [DRAW_KEY], Horizon(settled_from=AT - 10_000, complete_until=AT + 10_000))
    for record in (make_record(envelop(SECOND.scored)), letter(SECOND), letter(FIRST, DeadLetterReason.BAD_KEY)):
        assert record.topic in (SCORED.name, SCORED.dead_letters)
        if (entry := read_record(record)) is not None:
            audit.add(entry)

    assert audit.finish().notes == {"duplicates": 1}


def test_the_receipt_is_of_the_auction_that_counts() -> None:
    given = [*lines(FIRST.payloads()), *lines([SECOND.scored]), dead_letter_line(letter(SECOND))]

    for order in (given, given[::-1]):
        assert read_lines(order, "query-1", "log").sale(()).scored.data == FIRST.scored
