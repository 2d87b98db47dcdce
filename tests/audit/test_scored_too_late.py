"""An auction that was scored after its stated deadline: what the log says of it, and where it does not say it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.lines import to_line
from tests.audit.logs import committed
from tests.support.builders import DRAW_KEY, SUBMITTED_AT, envelop, make_scored, settle
from workers.audit.auditor import Audit
from workers.audit.entries import read_line
from workers.audit.findings import Check, Kind, Tally

DEADLINE_AT = SUBMITTED_AT + timedelta(seconds=30)


def late_log(after: timedelta | None) -> list[bytes]:
    """The log of an auction whose scored event the broker took so long after the deadline; None: not said."""
    scored = make_scored(3, deadline=DEADLINE_AT, deadline_stated=True)
    scored = replace(scored, recorded_at=None if after is None else DEADLINE_AT + after)
    events = [envelop(committed()), scored, *settle(scored)]
    return [to_line(event) for event in events]


def judged_lines(log: list[bytes]) -> Tally:
    audit = Audit(lambda finding: None, [DRAW_KEY])
    for number, line in enumerate(log, 1):
        if (entry := read_line(line, number)) is not None:
            audit.add(entry)
    return audit.finish()


AFTER = timedelta(milliseconds=1)


def test_an_auction_scored_after_its_deadline_is_rightly_void() -> None:
    assert judged_lines(late_log(AFTER)).discrepancies == 0
    assert judged_lines(late_log(timedelta())).discrepancies == 0


def test_a_bill_for_an_auction_scored_after_its_deadline_is_found() -> None:
    scored, late = late_log(timedelta()), late_log(AFTER)

    billed = judged_lines([late[0], late[1], *scored[2:]])

    assert Kind.WRONG_OUTCOME in billed.kinds
    assert Kind.EXTRA_CHARGE in billed.kinds


def test_calling_an_auction_late_that_was_scored_in_time_is_found() -> None:
    in_time, late = late_log(timedelta()), late_log(AFTER)

    assert Kind.WRONG_OUTCOME in judged_lines([*in_time[:2], *late[2:]]).kinds


@pytest.mark.parametrize("claimed", [late_log(AFTER), late_log(None)], ids=["void, late", "sold"])
def test_without_the_brokers_timestamp_lateness_is_unverifiable(claimed: list[bytes]) -> None:
    silent = late_log(None)

    tally = judged_lines([*silent[:2], *claimed[2:]])

    assert (tally.discrepancies, tally.unverifiable[Check.REPLIES]) == (0, 1)
