"""A log on Kafka: what is still under way and what is deleted by retention is no discrepancy; all else is."""

from collections.abc import Sequence

import pytest

from schemas.payload import BadRecord, Payload
from schemas.record import Record
from schemas.topics import SCORED
from tests.audit.logs import committed, make_log
from tests.support.builders import DRAW_KEY, envelop, make_record
from workers.audit.assembly import MARGIN_MS
from workers.audit.auditor import Audit
from workers.audit.completeness import Completeness
from workers.audit.entries import read_record
from workers.audit.findings import Check, Kind, Tally

DAY_MS = 24 * 60 * 60 * 1_000
NOW = 400 * DAY_MS
HORIZON = Completeness(settled_from=NOW - 7 * DAY_MS, complete_until=NOW - 60_000)
LOG = make_log(1)
OTHER = make_log(2)


def judged(*at: tuple[int, Payload]) -> Tally:
    """The verdict on records with these timestamps, in milliseconds before NOW."""
    audit = Audit(lambda finding: None, [DRAW_KEY], HORIZON)
    for age, payload in at:
        audit.add(read_record(make_record(envelop(payload), timestamp_ms=NOW - age)))
    return audit.finish()


def aged(age: int, payloads: Sequence[Payload]) -> list[tuple[int, Payload]]:
    return [(age, payload) for payload in payloads]


COMMITTED = (300 * DAY_MS, committed())


def test_a_complete_auction_is_audited_at_any_age() -> None:
    for age in (0, DAY_MS, 30 * DAY_MS):
        tally = judged(COMMITTED, *aged(age, LOG.payloads()[1:]))
        assert (tally.notes["auctions"], tally.discrepancies) == (1, 0)


@pytest.mark.parametrize("held", [1, 2, 3])
def test_an_incomplete_auction_is_in_flight_within_the_grace_period_and_wrong_after_it(held: int) -> None:
    events = LOG.payloads()[1 : 1 + held]

    young, grown = judged(COMMITTED, *aged(59_000, events)), judged(COMMITTED, *aged(61_000, events))

    assert (young.notes["in_flight"], young.discrepancies) == (1, 0)
    assert grown.notes["in_flight"] == 0
    assert set(grown.kinds) == {Kind.MISSING_TERMINAL if held == 1 else Kind.MISSING_CHARGE}


def test_the_newest_record_of_an_auction_decides_whether_it_is_in_flight() -> None:
    tally = judged(COMMITTED, (DAY_MS, LOG.scored), (10_000, LOG.reply))

    assert (tally.notes["in_flight"], tally.discrepancies) == (1, 0)


def test_a_reply_missing_beyond_the_retention_is_no_discrepancy() -> None:
    tally = judged(COMMITTED, (8 * DAY_MS, LOG.scored), *aged(200 * DAY_MS, OTHER.bills))

    assert (tally.notes["past_retention"], tally.unverifiable[Check.TERMINALS], tally.discrepancies) == (2, 2, 0)


def test_open_auctions_past_the_retention_are_dropped_while_the_log_is_read() -> None:
    audit = Audit(lambda finding: None, [DRAW_KEY], HORIZON)
    logs = [make_log(seed) for seed in range(20)]
    for number, log in enumerate(logs):
        timestamp_ms = NOW - 30 * DAY_MS + number * 2 * MARGIN_MS
        audit.add(read_record(make_record(envelop(log.scored), timestamp_ms=timestamp_ms)))
        assert audit.open_auctions <= 2

    assert audit.finish().notes["past_retention"] == 20


def test_a_topic_without_any_commitment_is_a_discrepancy() -> None:
    assert set(judged(*aged(DAY_MS, LOG.payloads()[1:])).kinds) == {Kind.NO_COMMITMENT}


def test_a_commitment_counts_from_its_records_timestamp() -> None:
    late = judged(*aged(DAY_MS, LOG.payloads()[1:]), (DAY_MS - 1, committed()))

    assert set(late.kinds) == {Kind.LATE_COMMITMENT}


def test_a_record_of_another_type_than_its_topic_is_refused() -> None:
    record = make_record(envelop(LOG.scored))
    other = Record(SCORED.name, record.key, record.value, (("ce_type", b"auction.candidates.scored.v2"),))

    with pytest.raises(BadRecord, match="ce_type"):
        read_record(other)
