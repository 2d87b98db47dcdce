"""Auctions that came again. Of another one with the same query id the dead letter is the end, and nothing may stand
beside it; the same one scored twice is waste, as long as it has one reply and one set of bills, from the first."""

from dataclasses import replace

import pytest

from schemas.dead_letter import dead_letter
from schemas.identity import derive
from schemas.lines import dead_letter_line
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from schemas.topics import SCORED
from tests.audit.logs import Log, lines, make_log
from tests.support.builders import DRAW_KEY, envelop, make_record, settle
from workers.audit.auditor import Audit
from workers.audit.completeness import Completeness
from workers.audit.entries import read_line, read_record
from workers.audit.findings import Finding, Kind
from workers.cli.query_log import read_lines

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
    return [finding.kind for finding in found], {
        name: notes[name] for name in ("auctions", "duplicates") if notes[name]
    }


def scored_again(log: Log) -> Log:
    """The same auction from another run of scoring: it took longer."""
    return replace(log.change_scored(scoring_duration_s=9.0), before=())


def test_a_duplicate_query_with_its_dead_letter_is_no_missing_reply() -> None:
    scored, refused = lines([SECOND.scored]), dead_letter_line(letter(SECOND))

    for order in ([*scored, refused], [refused, *scored]):
        assert verdict(*lines(FIRST.payloads()), *order) == ([], {"auctions": 1, "duplicates": 1})


def test_a_query_id_that_was_only_refused_as_used_is_found() -> None:
    """Somebody's query came to nothing under a pretext: no auction of that id has a reply."""
    scored, refused = lines([SECOND.scored]), dead_letter_line(letter(SECOND))

    for order in ([*scored, refused], [refused, *scored], [refused]):
        assert verdict(*lines(make_log(7).payloads()), *order)[0] == [Kind.DUPLICATE_OF_NOTHING]


@pytest.mark.parametrize(
    ("settled_from", "complete_until", "expected"),
    [(0, AT, [Kind.DUPLICATE_OF_NOTHING]), (0, AT - 1, []), (AT, AT, [])],
    ids=["whole", "younger than the grace period", "replies may be deleted"],
)
def test_a_duplicate_without_a_reply_is_found_on_kafka_if_its_reply_must_be_there(
    settled_from: int, complete_until: int, expected: list[Kind]
) -> None:
    found: list[Finding] = []
    audit = Audit(found.append, [DRAW_KEY], Completeness(settled_from, complete_until))
    for record in (*map(make_record, map(envelop, make_log(7).payloads())), letter(SECOND)):
        if (entry := read_record(record)) is not None:
            audit.add(entry)

    assert (audit.finish().kinds.total(), [one.kind for one in found]) == (len(expected), expected)


def test_a_duplicate_query_without_its_dead_letter_is_a_missing_reply() -> None:
    others = dead_letter_line(letter(FIRST))

    assert verdict(*lines([SECOND.scored]))[0] == [Kind.MISSING_TERMINAL]
    assert Kind.MISSING_TERMINAL in verdict(*lines([SECOND.scored]), others)[0]


def test_a_scored_event_replayed_after_the_id_window_is_no_second_outcome() -> None:
    """Its reply and bills stand, and the letter says that nothing was settled once more."""
    replayed = dead_letter_line(letter(FIRST, DeadLetterReason.EXPIRED))
    other = dead_letter_line(letter(FIRST, DeadLetterReason.BAD_EPOCH))

    assert verdict(*lines(FIRST.payloads()), replayed) == ([], {"auctions": 1})
    assert verdict(*lines(FIRST.payloads()), other)[0] == [Kind.SECOND_TERMINAL]


def test_a_dead_letter_of_any_reason_ends_its_auction() -> None:
    """verify takes it for one, and redrive sends it through again."""
    refused = dead_letter_line(letter(SECOND, DeadLetterReason.BAD_EPOCH))

    assert verdict(*lines([SECOND.scored]), refused)[0] == []


def sent_again(log: Log, redriven: bool = True) -> Record:
    """The refused scored event as `tessera dlq redrive` writes it, or the first of it."""
    record = make_record(envelop(log.scored), by_broker=True)
    return replace(record, headers=(*record.headers, ("dlq.redriven", b"a/0/1"))) if redriven else record


def judged(*records: Record) -> tuple[list[Kind], dict[str, int]]:
    found: list[Finding] = []
    audit = Audit(found.append, [DRAW_KEY], Completeness(settled_from=AT - 10_000, complete_until=AT + 10_000))
    for record in records:
        if (entry := read_record(record)) is not None:
            audit.add(entry)
    return [finding.kind for finding in found], dict(audit.finish().notes)


def test_a_redriven_auction_ends_in_its_reply() -> None:
    refused = letter(FIRST, DeadLetterReason.BAD_EPOCH)
    settled = [make_record(envelop(payload)) for payload in (*FIRST.before, FIRST.reply, *FIRST.bills)]

    found, notes = judged(sent_again(FIRST, redriven=False), refused, sent_again(FIRST), *settled)

    assert (found, notes["auctions"], notes["refused"], notes.get("scored_again", 0)) == ([], 1, 0, 0)


def test_a_reply_beside_a_dead_letter_that_was_not_redriven_is_a_second_outcome() -> None:
    refused = letter(FIRST, DeadLetterReason.BAD_EPOCH)
    settled = [make_record(envelop(payload)) for payload in (FIRST.reply, *FIRST.bills)]

    assert Kind.SECOND_TERMINAL in judged(sent_again(FIRST, redriven=False), refused, *settled)[0]


def test_an_auction_refused_again_after_a_redrive_counts_as_refused_once() -> None:
    refused = letter(FIRST, DeadLetterReason.BAD_EPOCH)

    found, notes = judged(sent_again(FIRST, redriven=False), refused, sent_again(FIRST), refused)

    assert (found, notes["refused"]) == ([], 1)


@pytest.mark.parametrize("late", [False, True], ids=["before its letter", "after its letter"])
def test_a_duplicate_query_that_was_billed_is_found(late: bool) -> None:
    scored, reply, *bills = lines(SECOND.payloads())
    refused = dead_letter_line(letter(SECOND))
    log = lines(FIRST.payloads())

    replied = verdict(*log, scored, *([refused, reply] if late else [reply, *bills, refused]))
    billed = verdict(*log, scored, *([refused, *bills] if late else [*bills, refused]))

    assert replied[0] == [Kind.SECOND_TERMINAL] if late else [Kind.REUSED_QUERY, Kind.SECOND_TERMINAL]
    assert billed[0] == [Kind.EXTRA_CHARGE] * len(bills)


def test_on_kafka_the_dead_letter_is_read_from_its_own_topic() -> None:
    audit = Audit(lambda finding: None, [DRAW_KEY], Completeness(settled_from=AT - 10_000, complete_until=AT + 10_000))
    for record in (make_record(envelop(SECOND.scored)), letter(SECOND), letter(FIRST, DeadLetterReason.BAD_KEY)):
        assert record.topic in (SCORED.name, SCORED.dead_letters)
        if (entry := read_record(record)) is not None:
            audit.add(entry)

    assert audit.finish().notes == {"duplicates": 1, "refused": 1}


def test_the_receipt_of_a_duplicated_query_is_of_the_first_auction() -> None:
    given = [*lines(FIRST.payloads()), *lines([SECOND.scored]), dead_letter_line(letter(SECOND))]

    for order in (given, given[::-1]):
        assert read_lines(order, "query-1", "log").sale(()).scored.data == FIRST.scored


AGAIN = scored_again(FIRST)
ONE_AUCTION = ([], {"auctions": 1})


@pytest.mark.parametrize("again", [FIRST, AGAIN], ids=["same bytes", "other bytes"])
@pytest.mark.parametrize("place", [2, 3, 4, None], ids=["before the reply", "before a bill", "between bills", "last"])
def test_an_auction_scored_twice_is_counted_and_is_no_discrepancy(again: Log, place: int | None) -> None:
    log = lines(FIRST.payloads())
    place = len(log) if place is None else place
    letters = [] if again is FIRST else [dead_letter_line(letter(again))]  # what came again as it was leads to nothing

    assert verdict(*log[:place], *lines([again.scored]), *letters, *log[place:]) == ONE_AUCTION
    assert verdict(*log[:place], *lines([again.scored]), *log[place:], *letters) == ONE_AUCTION
    assert verdict(*log[:place], *letters, *log[place:], *lines([again.scored])) == ONE_AUCTION


def test_auctions_scored_again_are_counted() -> None:
    audit = Audit(lambda finding: None, [DRAW_KEY])
    again = [*lines([AGAIN.scored]) * 2, dead_letter_line(letter(AGAIN)), *lines([FIRST.scored])]
    for number, line in enumerate([*lines(FIRST.payloads()), *again], 1):
        if (entry := read_line(line, number)) is not None:
            audit.add(entry)

    assert audit.finish().notes["scored_again"] == 3


def test_settling_from_the_second_of_two_scored_events_is_found() -> None:
    commitment, scored, *rest = lines(FIRST.payloads())
    again, refused = lines([AGAIN.scored]), dead_letter_line(letter(AGAIN))

    assert verdict(commitment, *again, scored, *rest, refused)[0] == [Kind.SECOND_SCORED]
    assert verdict(commitment, *again, refused, scored, *rest)[0][0] == Kind.SECOND_TERMINAL


def test_a_second_reply_and_second_bills_of_an_auction_scored_twice_are_found() -> None:
    reply, *bills = [event.data for event in settle(envelop(AGAIN.scored))]
    billed_again = verdict(*lines(FIRST.payloads()), *lines([AGAIN.scored, reply, *bills]))

    assert billed_again[0] == [Kind.SECOND_TERMINAL, *[Kind.DOUBLE_CHARGE] * len(bills)]


def test_a_reply_beside_the_letter_of_its_own_scored_event_is_found() -> None:
    commitment, scored, reply, *bills = lines(FIRST.payloads())
    refused, again = dead_letter_line(letter(FIRST)), lines([AGAIN.scored])

    for log in ([scored, refused, *again, reply], [scored, *again, reply, *bills, refused]):
        assert Kind.SECOND_TERMINAL in verdict(commitment, *log)[0]


def test_the_receipt_of_an_auction_scored_twice_is_of_the_event_that_was_settled() -> None:
    given = [*lines(FIRST.payloads()), *lines([AGAIN.scored]), dead_letter_line(letter(AGAIN))]

    for order in (given, given[::-1]):
        assert read_lines(order, "query-1", "log").sale(()).scored.data == FIRST.scored


def at(letter: Record, offset: int) -> Record:
    """The letter of the same bytes at another place of the scored topic."""
    return replace(
        letter, headers=(*((k, v) for k, v in letter.headers if k != "dlq.offset"), ("dlq.offset", b"%d" % offset))
    )


REFUSED, DUPLICATED = letter(FIRST, DeadLetterReason.BAD_EPOCH), letter(FIRST)


@pytest.mark.parametrize(
    ("refused", "again"),
    [(REFUSED, REFUSED), (DUPLICATED, DUPLICATED), (DUPLICATED, at(DUPLICATED, 9))],
    ids=["one record", "one duplicate", "a duplicate that was scored again"],
)
def test_a_scored_event_that_is_refused_again_for_the_same_reason_is_counted(refused: Record, again: Record) -> None:
    scored, settled = lines([FIRST.scored]), lines(SECOND.payloads())  # of another auction of the same query id

    found, notes = judged(sent_again(FIRST, redriven=False), refused, again, again)
    assert (found, notes["refused_again"]) == ([], 2)
    for order in ([refused, again, scored], [scored, refused, again], [refused, scored, again]):
        given = [line for one in order for line in (one if isinstance(one, list) else [dead_letter_line(one)])]
        assert verdict(*settled, *given)[0] == []


@pytest.mark.parametrize("again", [DUPLICATED, at(REFUSED, 9)], ids=["another reason", "another place"])
def test_a_different_dead_letter_for_a_refused_event_is_a_second_outcome(again: Record) -> None:
    found, notes = judged(sent_again(FIRST, redriven=False), REFUSED, again)

    assert (found, notes.get("refused_again", 0)) == ([Kind.SECOND_TERMINAL], 0)


def test_a_dead_letter_for_a_settled_event_is_found_each_time() -> None:
    for refused in (REFUSED, DUPLICATED):
        assert verdict(*lines(FIRST.payloads()), *[dead_letter_line(refused)] * 2)[0] == [Kind.SECOND_TERMINAL] * 2


def test_an_event_scored_again_and_refused_twice_as_a_duplicate_is_no_discrepancy() -> None:
    again = dead_letter_line(letter(AGAIN))

    assert verdict(*lines(FIRST.payloads()), *lines([AGAIN.scored]), again, again) == ONE_AUCTION


def test_a_redriven_and_settled_event_may_be_refused_again_only_at_its_first_offset() -> None:
    settled = [make_record(envelop(payload)) for payload in (*FIRST.before, FIRST.reply, *FIRST.bills)]
    log = [sent_again(FIRST, redriven=False), REFUSED, sent_again(FIRST), *settled]

    assert judged(*log, REFUSED)[0] == []
    assert judged(*log, at(REFUSED, 9))[0] == [Kind.SECOND_TERMINAL]
