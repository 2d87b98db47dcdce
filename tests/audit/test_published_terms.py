"""Auctions are held on the terms that the operator published: every other change is found by its name."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.lines import to_line
from schemas.payload import Payload
from schemas.terms import NamedModel, TermsPublished
from tests.audit.logs import Log, committed, kinds, make_log
from tests.support.builders import DRAW_KEY, SUBMITTED_AT, envelop, make_terms
from workers.audit.auditor import Audit
from workers.audit.entries import read_line
from workers.audit.findings import Check, Finding, Kind

LOG = make_log(3)
MODEL = NamedModel(name="test", model_sha256="b" * 12)
OTHERS: dict[str, dict[str, Any]] = {
    "τ": {"tau_micros_per_nat": 7},
    "currency": {"currency": "EUR"},
    "draw": {"draw": "draw-v2"},
    "model": {"models": (MODEL,)},
    "too few candidates": {"candidates_least": 5},
    "too many candidates": {"candidates_most": 3},
    "too short": {"max_tokens_least": 9},
    "too long": {"max_tokens_most": 7},
}


def terms(since: timedelta = timedelta(days=-1), **changes: Any) -> TermsPublished:
    """A notice in force from so long after the auction on, before it by default."""
    data: TermsPublished = make_terms(in_force_from=SUBMITTED_AT + since, **changes).data
    return data


def audit(*said: tuple[Payload, datetime | None]) -> tuple[Audit, list[Finding]]:
    """An audit of events, each with the time at which the broker took it, if the log says so."""
    findings: list[Finding] = []
    audit = Audit(findings.append, [DRAW_KEY])
    for number, (payload, recorded_at) in enumerate(said, 1):
        entry = read_line(to_line(envelop(payload, recorded_at=recorded_at)), number)
        assert entry is not None
        audit.add(entry)
    audit.finish()
    return audit, findings


def found(*notices: TermsPublished, log: Log = LOG) -> list[str]:
    """The kinds that are found in an auction after notices that the broker took two days before it."""
    scored = [(one, SUBMITTED_AT) for one in (committed(), log.scored, log.reply, *log.bills)]
    _, findings = audit(*((one, SUBMITTED_AT - timedelta(days=2)) for one in notices), *scored)
    return [one.kind for one in findings]


def test_an_auction_on_the_terms_in_force_is_right() -> None:
    assert found(terms()) == found(terms(models=())) == []


@pytest.mark.parametrize("other", OTHERS)
def test_an_auction_on_other_terms_than_are_in_force_is_found(other: str) -> None:
    assert found(terms(**OTHERS[other])) == [Kind.UNANNOUNCED_TERMS]


def test_one_auction_on_another_tau_is_found_among_all_others() -> None:
    """τ = 7 in one auction and 1,000 in all others passed: its charges follow from it."""
    cheap = make_log(4, tau_micros_per_nat=7)
    right = [committed(), LOG.scored, LOG.reply, *LOG.bills, cheap.scored, cheap.reply, *cheap.bills]

    assert kinds(right) == []
    assert kinds([terms(), *right]) == [Kind.UNANNOUNCED_TERMS]


def test_a_change_is_right_from_its_moment_on_and_the_terms_before_for_an_hour_more() -> None:
    def change(since: timedelta) -> list[str]:
        return found(terms(), terms(since, tau_micros_per_nat=7))

    assert change(timedelta(minutes=1)) == change(timedelta(minutes=-59)) == []
    assert change(timedelta(minutes=-61)) == [Kind.UNANNOUNCED_TERMS]
    cheap = make_log(4, tau_micros_per_nat=7)
    early = [terms(), terms(timedelta(minutes=1), tau_micros_per_nat=7)]
    assert found(*early, log=cheap) == [Kind.UNANNOUNCED_TERMS]
    assert found(terms(), terms(timedelta(0), tau_micros_per_nat=7), log=cheap) == []


def test_an_advert_free_reply_is_held_to_no_floor() -> None:
    assert found(terms(candidates_least=5, max_tokens_least=9), log=make_log(5, advertisers=0)) == []


def test_a_notice_is_not_in_force_before_the_broker_took_it() -> None:
    """Whoever changed τ cannot publish afterwards that it was so all the time."""
    late = terms(tau_micros_per_nat=7)
    scored = [(one, SUBMITTED_AT) for one in (committed(), LOG.scored, LOG.reply, *LOG.bills)]

    checked, findings = audit((late, SUBMITTED_AT + timedelta(seconds=1)), *scored)

    assert findings == [] and checked.tally.notes["before_terms"] == 1


def test_an_auction_of_which_no_broker_says_when_it_was_scored_is_not_verifiable() -> None:
    said = [(one, None) for one in (committed(), LOG.scored, LOG.reply, *LOG.bills)]

    checked, findings = audit((terms(tau_micros_per_nat=7), SUBMITTED_AT), *said)

    assert findings == [] and checked.tally.unverifiable[Check.TERMS] == 1
    assert audit(*said)[0].tally.unverifiable[Check.TERMS] == 0  # nothing was published: held to nothing
