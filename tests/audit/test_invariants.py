"""Each invariant broken in turn by an edit of a right log, and caught under its number and no other."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from schemas.dead_letter import dead_letter
from schemas.identity import derive
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from schemas.topics import CHARGED, GENERATED, QUERIES, SCORED, SETTLED
from tests.audit.campaign_log import (
    GOOD,
    appended,
    asked,
    broken,
    edited,
    of,
    retold,
    row,
    verified,
    without,
)
from tests.audit.logs import Log
from workers.audit.log.invariants import InvariantState

Edit = Callable[[Sequence[Record]], list[Record]]


def test_every_invariant_holds_for_a_correct_log(log: list[Record]) -> None:
    report = verified(log, plan=asked(), witness=log)

    assert [(int(one.invariant), one.examples) for one in report.rows() if one.broken] == []
    states = {int(one.invariant): one.state for one in report.rows()}
    assert {number for number, state in states.items() if state is InvariantState.HELD} == {1, 2, 3, 4, 6, 7, 9, 12}
    ended = {"settled": GOOD + 2, "refused": 5, "under way": 0, "lost": 0}
    assert row(report, 1).counts == ended
    assert row(report, 12).counts == {"stored": GOOD + 7, "planned": GOOD + 7}
    assert row(report, 9).counts["compared with what was refused"] == 5


@pytest.mark.parametrize("partition_by_partition", [False, True])
def test_the_order_in_which_partitions_are_read_does_not_matter(
    log: list[Record], partition_by_partition: bool
) -> None:
    topics = sorted({record.topic for record in log}, reverse=partition_by_partition)

    report = verified([record for topic in topics for record in of(log, topic)], plan=asked(), witness=log)

    assert broken(report) == []
    assert row(report, 1).counts["settled"] == GOOD + 2
    assert row(report, 9).counts["compared with what was refused"] == 5


def settled(log: Sequence[Record], place: int = 0) -> Record:
    return of(log, SETTLED.name)[place]


def letter(log: Sequence[Record], reason: str) -> Record:
    return next(record for record in log if ("dlq.reason", reason.encode()) in record.headers)


def charges_of_one(log: Sequence[Record]) -> list[Record]:
    """The charges of the reply that was settled second."""
    ids = json.loads(settled(log, 1).value or b"")["charge_ids"]
    return [record for record in of(log, CHARGED.name) if json.loads(record.value or b"")["charge_id"] in ids]


def with_header(record: Record, name: str, value: str) -> dict[str, Any]:
    return {"headers": tuple((key, value.encode() if key == name else old) for key, old in record.headers)}


def unnamed_charge(log: Sequence[Record]) -> list[Record]:
    """One more charge of an auction that is over, under an id of its own."""
    charge = charges_of_one(log)[0]
    body = {**json.loads(charge.value or b""), "charge_id": derive("charge", "out of nowhere")}
    return appended(log, replace(charge, value=json.dumps(body).encode()))


def other_u(told: Log) -> Log:
    draw = told.reply.draw
    assert draw is not None
    return told.change_reply(draw=draw.model_copy(update={"u": draw.u[:-1] + ("0" if draw.u[-1] != "0" else "1")}))


def invented(log: Sequence[Record]) -> list[Record]:
    """A settled auction without its query."""
    lost = next(record for record in of(log, QUERIES.name) if record.key == b"q1")
    return without(log, lost)


def other_reason(refused: Record) -> Record:
    """The letter with a reason that its record was not refused for."""
    reason = DeadLetterReason.BAD_HEADERS
    changed = replace(refused, **with_header(refused, "dlq.reason", reason.name))
    return replace(changed, **with_header(changed, "dlq.code", str(int(reason))))


def beside_its_reply(log: Sequence[Record]) -> Record:
    """A letter for a scored event that was settled, on settlement's dead-letter topic."""
    scored = of(log, SCORED.name)[1]
    refusal = dead_letter(scored, "settlement", DeadLetterReason.BAD_EPOCH, "made up")
    return replace(scored, topic=refusal.topic, value=refusal.value, headers=refusal.headers)


def swapped(log: Sequence[Record]) -> list[Record]:
    """Two replies that changed places in their topic."""
    first, second = settled(log, 1), settled(log, 2)
    found = edited(log, first, offset=second.offset)
    found = edited(found, second, offset=first.offset)
    places = found.index(replace(first, offset=second.offset)), found.index(replace(second, offset=first.offset))
    found[places[0]], found[places[1]] = found[places[1]], found[places[0]]
    return found


EDITS: dict[str, tuple[int, Edit]] = {
    "a lost reply": (1, lambda log: without(log, settled(log))),
    "a lost charge": (1, lambda log: without(log, charges_of_one(log)[0])),
    "a lost letter": (1, lambda log: without(log, letter(log, "BAD_JSON"))),
    "a lost letter of a duplicate": (1, lambda log: without(log, letter(log, "DUPLICATE_QUERY"))),
    "all of an auction but its query": (
        1,
        lambda log: [one for one in log if one.topic == QUERIES.name or b'"q3"' not in (one.value or b"")],
    ),
    "a second letter with another reason": (1, lambda log: appended(log, other_reason(letter(log, "EXPIRED")))),
    "a second letter of a duplicate with another reason": (
        1,
        lambda log: appended(log, other_reason(letter(log, "DUPLICATE_QUERY"))),
    ),
    "a letter beside a reply": (1, lambda log: appended(log, beside_its_reply(log))),
    "a letter beside a reply twice": (1, lambda log: appended(log, *[beside_its_reply(log)] * 2)),
    "a charge that no reply names": (1, unnamed_charge),
    "a reply twice": (2, lambda log: appended(log, settled(log))),
    "a charge twice": (2, lambda log: appended(log, charges_of_one(log)[0])),
    "a whole auction twice": (
        2,
        lambda log: appended(log, of(log, SCORED.name)[1], settled(log, 1), *charges_of_one(log)),
    ),
    "one micro too much": (
        3,
        lambda log: retold(log, "q2", lambda told: told.change_bill(charge_micros=told.bills[0].charge_micros + 1)),
    ),
    "a bill let off": (
        3,
        lambda log: retold(
            log,
            "q2",
            lambda told: replace(told, bills=told.bills[:1]).change_reply(
                charge_ids=told.reply.charge_ids[:1], total_charge_micros=told.bills[0].charge_micros
            ),
        ),
    ),
    "no scored event": (3, lambda log: without(log, of(log, SCORED.name)[1])),
    "a wrong total": (
        4,
        lambda log: retold(
            log, "q2", lambda told: told.change_reply(total_charge_micros=told.reply.total_charge_micros + 1)
        ),
    ),
    "another bound": (
        4,
        lambda log: retold(log, "q2", lambda told: told.change_bill(bound_micros=told.bills[0].bound_micros + 1)),
    ),
    "another draw": (6, lambda log: retold(log, "q2", other_u)),
    "replies out of order": (7, swapped),
    "a letter with other bytes": (9, lambda log: edited(log, letter(log, "EXPIRED"), value=b"{}")),
    "a letter with another key": (9, lambda log: edited(log, letter(log, "EXPIRED"), key=b"someone")),
    "a letter with another code": (
        9,
        lambda log: edited(log, letter(log, "EXPIRED"), **with_header(letter(log, "EXPIRED"), "dlq.code", "1")),
    ),
    "a letter for no record": (
        9,
        lambda log: appended(
            log,
            replace(letter(log, "EXPIRED"), **with_header(letter(log, "EXPIRED"), "dlq.offset", "999")),
        ),
    ),
    "a letter of nobody": (9, lambda log: appended(log, replace(letter(log, "EXPIRED"), headers=()))),
    "a reply to nobody": (12, invented),
    "a reply that nobody can read": (
        12,
        lambda log: appended(log, replace(settled(log), value=b"{}")),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_each_violation_is_found_under_its_invariants_number(log: list[Record], name: str) -> None:
    number, edit = EDITS[name]

    report = verified(edit(log))

    assert broken(report) == [number], [one.examples for one in report.rows() if one.broken]
    assert row(report, number).examples


def test_outcomes_that_differ_from_the_plan_are_found(log: list[Record]) -> None:
    plan = [(key, value, "EXPIRED" if outcome == "BAD_JSON" else outcome) for key, value, outcome in asked()]

    report = verified(log, plan=plan)

    assert broken(report) == [9]
    assert "was planned as EXPIRED and became BAD_JSON" in row(report, 9).examples[0]


@pytest.mark.parametrize("plan", [[*asked(), *asked("more")[:1]], asked()[1:]], ids=["not stored", "not planned"])
def test_a_plan_that_differs_from_the_stored_queries_is_found(log: list[Record], plan: list[Any]) -> None:
    assert broken(verified(log, plan=plan)) == [12]


def test_a_lost_query_is_one_finding_with_a_plan_too(log: list[Record]) -> None:
    assert broken(verified(without(log, settled(log)), plan=asked())) == [1]


@pytest.mark.parametrize(
    "seen",
    [
        lambda log: edited(log, settled(log, 1), value=b"{}"),
        lambda log: edited(log, settled(log, 1), headers=()),
        lambda log: without(log, settled(log, 1)),
        lambda log: appended(log, settled(log, 1)),
        lambda log: [*log, settled(log, 1)],
    ],
    ids=["another value", "another header", "one less", "one more at the end", "one once more"],
)
def test_a_record_that_differs_from_what_the_witness_saw_is_found(log: list[Record], seen: Edit) -> None:
    assert broken(verified(log, witness=seen(log))) == [7]


def test_a_witness_of_a_part_is_compared_with_that_part(log: list[Record]) -> None:
    part = log[len(log) // 3 : 2 * len(log) // 3]

    report = verified(log, witness=part)

    assert broken(report) == []
    assert row(report, 7).counts == {"compared with the witness": len(part)}


def test_an_unread_query_is_under_way_and_with_complete_a_finding(log: list[Record]) -> None:
    """The reply of a query that settlement had not read yet, and a query that generation had not."""
    scored = of(log, SCORED.name)
    cut = without(log, *[one for one in log if one.topic == SETTLED.name and one.key == scored[-2].key])
    read = {(QUERIES.name, 0): 100, (GENERATED.name, 0): 100, (SCORED.name, 0): scored[-2].offset}

    available = verified(cut, committed=read, complete=False)
    over = verified(cut, committed=read, complete=True)

    assert broken(available) == []
    assert row(available, 1).counts["under way"] == 1
    assert broken(over) == [1]
    assert "still under way" in row(over, 1).examples[0]


def test_a_query_newer_than_the_grace_period_is_under_way(log: list[Record]) -> None:
    cut = without(log, settled(log))

    assert broken(verified(cut, complete=False, in_flight_from_ms=0)) == []
    assert broken(verified(cut, complete=False)) == [1]


def test_records_deleted_by_retention_are_no_findings(log: list[Record]) -> None:
    """Queries and candidates are gone, letters and replies are still there."""
    later = max(record.timestamp_ms for record in log) + 1
    kept = [record for record in log if record.topic not in (QUERIES.name, GENERATED.name)]
    begins = {(QUERIES.name, 0): 1_000, (GENERATED.name, 0): 1_000}

    report = verified(kept, begins=begins, queried_from_ms=later, generated_from_ms=later)

    assert broken(report) == []
    assert row(report, 9).counts["of records that are deleted"] == 4


def test_a_redriven_dead_letter_is_no_second_outcome(log: list[Record]) -> None:
    """A letter of a later stage goes out again and is settled: the reply is the end."""
    scored = of(log, SCORED.name)[-2]  # the last one is the duplicate's
    letter = dead_letter(scored, "settlement", DeadLetterReason.BAD_EPOCH, "by hand")
    refusal = Record(letter.topic, letter.key, letter.value, letter.headers, 0, 50, scored.timestamp_ms)
    again = replace(scored, offset=60, headers=(*scored.headers, ("dlq.redriven", b"here")))
    at = log.index(scored) + 1

    assert broken(verified([*log[:at], refusal, again, *log[at:]])) == []
    assert broken(verified([*log[:at], refusal, *log[at:]])) == [1]
    assert broken(verified([*log[:at], again, *log[at:]])) == []  # redriven once too often


def test_a_record_replayed_after_the_id_window_has_no_second_outcome(log: list[Record]) -> None:
    scored = of(log, SCORED.name)[1]

    def refused(reason: DeadLetterReason) -> Record:
        letter = dead_letter(scored, "settlement", reason, "read again")
        return Record(letter.topic, letter.key, letter.value, letter.headers, 0, 50, log[-1].timestamp_ms)

    report = verified([*log, refused(DeadLetterReason.EXPIRED)])
    assert broken(report) == [] and row(report, 2).counts["refused as too old"] == 1
    assert broken(verified([*log, refused(DeadLetterReason.BAD_EPOCH)])) == [1]


def test_a_query_id_with_half_a_surrogate_pair_ends_in_a_dead_letter(log: list[Record]) -> None:
    asks = of(log, QUERIES.name)[0]
    query = replace(asks, key=None, value=b'{"query_id": "\\ud800"}', offset=900)
    refusal = dead_letter(query, "generation", DeadLetterReason.BAD_SCHEMA, "no text")
    letter = replace(query, topic=refusal.topic, headers=refusal.headers, offset=50)

    assert broken(verified([*log, query, letter])) == []


def test_auctions_generated_or_scored_twice_are_counted_and_no_findings(log: list[Record]) -> None:
    candidates, scored = of(log, GENERATED.name)[1], of(log, SCORED.name)[1]
    again = edited(
        [scored], scored, value=(scored.value or b"").replace(b'"scoring_duration_s":', b'"scoring_duration_s":1')
    )
    doubled = appended(log, candidates, scored, *again)
    refusal = dead_letter(doubled[-1], "settlement", DeadLetterReason.DUPLICATE_QUERY, "scored a second time")
    letter = replace(scored, topic=refusal.topic, headers=refusal.headers, offset=50, value=refusal.value)

    for records in ([*doubled, letter], [letter, *doubled]):
        report = verified(records)
        assert broken(report) == []
        assert row(report, 2).counts == {"generated again": 1, "scored again": 2, "repeats refused": 1}
    # Read again, it is refused again; for another reason that is one too many, and one with another key is none for it
    assert broken(verified([*doubled, letter, replace(letter, offset=51)])) == []
    assert broken(verified([*doubled, letter, other_reason(replace(letter, offset=51))])) == [1]
    assert broken(verified([*doubled, replace(letter, key=b"someone")])) == [9]


@pytest.mark.parametrize("reason", ["EXPIRED", "BAD_JSON", "BAD_KEY", "DUPLICATE_QUERY"])
def test_a_record_refused_again_for_the_same_reason_is_counted_and_no_finding(log: list[Record], reason: str) -> None:
    """Its stage's position went back: decision 0006."""
    doubled = appended(log, letter(log, reason), letter(log, reason))

    letters_first = sorted(doubled, key=lambda one: not one.topic.endswith(".dlq"))

    for records in (doubled, letters_first):
        report = verified(records, plan=asked())
        assert broken(report) == []
        assert row(report, 2).counts["refused again"] == 2
    other = edited(doubled, doubled[-1], value=b"{}")
    assert {1, 9} <= set(broken(verified(other)))


def refused_at(log: Sequence[Record], *offsets: int) -> list[Record]:
    """Letters for scored events at these offsets, in this order, which nothing else came of."""
    scored = replace(of(log, SCORED.name)[0], key=b"x", value=b"no event")
    read, letters = [replace(scored, offset=offset) for offset in sorted({*offsets})], []
    for at, offset in enumerate(offsets):
        refusal = dead_letter(replace(scored, offset=offset), "settlement", DeadLetterReason.BAD_JSON, "no event")
        letters.append(
            replace(scored, topic=refusal.topic, value=refusal.value, headers=refusal.headers, offset=70 + at)
        )
    return [*log, *read, *letters]


def test_repeated_dead_letters_are_not_out_of_order_and_other_records_still_are(log: list[Record]) -> None:
    assert broken(verified(refused_at(log, 40, 41, 40, 41, 42))) == []
    assert broken(verified(refused_at(log, 40, 42, 40, 41, 42))) == [7]
