"""Every fraud that was thought of, planted alone into a right log, and caught by `audit` or `verify` under its name.

The lies about one auction are those of `test_frauds`, those about where it comes from are those of `test_lineage`;
here they stand in one table with what is done to the log as a whole.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from schemas.draw import DrawCommitment
from schemas.identity import derive
from schemas.payload import Payload
from schemas.reasons import AbstentionReason
from schemas.record import Record
from schemas.topics import GENERATED, QUERIES, SCORED, SETTLED
from tests.audit import test_frauds, test_lineage
from tests.audit.campaign_log import edited, retold, verified
from tests.audit.logs import Log, committed, kinds, make_log
from tests.audit.test_frauds import LOG, OTHER_KEY, other_u
from tests.audit.test_lineage import data, encoded, later, one
from tests.audit.test_seeds import SECRET, said, seeded
from tests.support.builders import make_terms

Log_ = Sequence[Record]
Catch = Callable[[Log_], set[str]]

NAME = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
ELSEWHERE = DrawCommitment(epoch="2026-11-22", key_sha256=committed(OTHER_KEY).key_sha256)
STEEP = make_log(1, advertisers=1, rewards_micros={"advertiser-00": (60_000.0, 0.0, 0.0, 0.0)})
INDIFFERENT = make_log(1, advertisers=1, rewards_micros={"advertiser-00": (7.0,) * 4})
REUSED = replace(make_log(3, auction_id=derive("auction", "the same query id once more")), before=())
ABSTENTION = {"advertiser_id": "advertiser-09", "reason": AbstentionReason.ENGINE_FAILED}


def audit(*logs: Log | Sequence[Payload]) -> Catch:
    """What the audit finds in these events, whatever the log of the stages is."""
    return lambda _: set(kinds(*logs))


def verify(lie: Callable[[Log_], Log_]) -> Catch:
    """What a verification finds in the log of the stages with that lie: every name in its sentences."""

    def names(log: Log_) -> set[str]:
        return {name for row in verified(lie(log)).rows() for said in row.examples for name in NAME.findall(said)}

    return names


def of_lineage(fraud: str) -> Catch:
    """One of the lies of `test_lineage`, by somebody who corrects no digest."""
    changes, _ = test_lineage.FRAUDS[fraud]

    def lie(log: Log_) -> Log_:
        for topic, name in ((QUERIES, "query"), (GENERATED, "generated"), (SCORED, "scored")):
            record = one(log, topic.name)
            log = edited(log, record, value=encoded(data(record, **changes[name]))) if name in changes else log
        return log

    return verify(lie)


def before(*said: Payload) -> Log:
    return replace(LOG, before=said)


def generated_late(log: Log_) -> Log_:
    record = one(log, GENERATED.name)
    return later(log, record, encoded(data(record, received_at="2026-11-29T00:00:00Z")))


def keyed_by_somebody_else(log: Log_) -> Log_:
    return edited(log, one(log, SETTLED.name), key=b"somebody-else")


PLANTED: dict[str, tuple[Catch, str]] = {
    **{name: (audit(lie(LOG)), kind) for name, (lie, kind) in test_frauds.FRAUDS.items()},
    **{name: (of_lineage(name), kind) for name, (_, kind) in test_lineage.FRAUDS.items()},
    "candidates that nobody drew": (
        verify(lambda log: [r for r in log if r is not one(log, GENERATED.name)]),
        "no_generated",
    ),
    "candidates told afterwards": (verify(generated_late), "other_generated"),
    "reply keyed by somebody else": (verify(keyed_by_somebody_else), "wrong_key"),
    "bill of the stages' log": (verify(lambda log: retold(log, "q1", test_frauds.charged(0, 1))), "wrong_charge"),
    "draw of the stages' log": (verify(lambda log: retold(log, "q1", other_u)), "wrong_u"),
    "day without a commitment": (audit(before(ELSEWHERE)), "no_commitment"),
    "another key than was committed to": (audit(before(committed(OTHER_KEY))), "broken_commitment"),
    "two commitments for a day": (audit(before(committed(), committed(OTHER_KEY))), "second_commitment"),
    "commitment after the draw": (audit([*LOG.payloads()[1:], committed()]), "late_commitment"),
    "another key revealed": (audit(before(committed(), committed(OTHER_KEY, reveal=True))), "false_reveal"),
    "drawn with a revealed key": (audit(before(committed(), committed(reveal=True))), "draw_after_reveal"),
    "drawn without a day": (audit(make_log(3, draw_epoch=None)), "uncommitted_draw"),
    "τ that nobody announced": (audit([make_terms(tau_micros_per_nat=7).data, *LOG.payloads()]), "unannounced_terms"),
    "no reply": (audit([committed(), LOG.scored]), "missing_terminal"),
    "reply without an auction": (audit([committed(), LOG.reply]), "unknown_auction"),
    "bills without an auction": (audit([committed(), *LOG.bills]), "extra_charge"),
    "whole auction once more": (audit(LOG, [LOG.scored, LOG.reply, *LOG.bills]), "double_charge"),
    "query id of another auction": (audit(LOG, REUSED), "reused_query"),
    "abstention that nobody declared": (audit(LOG.change_reply(abstentions=(ABSTENTION,))), "wrong_abstentions"),
    "rewards outside the range": (audit(STEEP), "reward_out_of_range"),
    "charge to the indifferent": (audit(INDIFFERENT.change_bill(0, charge_micros=1)), "indifferent_charged"),
    "charge above its bound": (audit(LOG.change_bill(0, charge_micros=LOG.bills[0].bound_micros + 1)), "above_bound"),
    "seeds that were tried": (audit(said(SECRET), seeded(fallback="0" * 16), said(SECRET, reveal=True)), "wrong_seeds"),
    "seeds of another secret": (audit(said(SECRET), seeded(b"another")), "broken_seed_commitment"),
    "seeds of another day": (audit(seeded(epoch="2026-11-21")), "wrong_seed_day"),
    "charge above its worth": (audit(LOG.change_bill(0, charge_micros=LOG.bills[0].bound_micros + 1)), "worse_off"),
}


def test_there_are_sixty_and_more() -> None:
    assert len(PLANTED) >= 60


@pytest.mark.parametrize("fraud", PLANTED)
def test_each_planted_fraud_is_caught_under_its_name(log: list[Record], fraud: str) -> None:
    catch, name = PLANTED[fraud]

    assert str(name) in catch(log)


def test_no_name_is_told_of_a_right_log(log: list[Record]) -> None:
    assert audit(LOG)(log) == verify(lambda right: right)(log) == set()
