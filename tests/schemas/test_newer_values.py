"""Values that only a newer release knows: what is only reported is passed on, what decides something stops a stage."""

import json
from dataclasses import replace
from typing import Any

import pytest

from schemas.auction import CandidatesGenerated, CandidatesScored
from schemas.payload import BadRecord, Payload, UnknownValue
from schemas.reasons import AbstentionReason, VoidReason
from schemas.reply import ReplySettled
from tests.support.builders import envelop, make_generated, make_query, make_scored, make_settled, settle
from workers.operations.metrics import Metrics

ABSENT = {"advertiser_id": "advertiser-09", "reason": 150}


def newer(data: Payload, **fields: Any) -> bytes:
    """The event's value with fields as a newer release writes them."""
    return json.dumps({**json.loads(data.encode()), **fields}).encode()


REPORTED = {
    "abstention": {"abstentions": [ABSENT]},
    "proposal": {"sampling": {**json.loads(make_scored().value)["sampling"], "proposal": "mixture"}},
    "origin of rewards": {"reward_origins": {"advertiser-00": "survey:of 2027@abc"}},
    "void reason": {"void_reason": 250},
}


@pytest.mark.parametrize("fields", REPORTED.values(), ids=REPORTED)
def test_unknown_values_that_are_only_reported_are_passed_on(fields: dict[str, Any]) -> None:
    value = newer(make_scored().data, **fields)

    scored = CandidatesScored.decode(value)

    assert json.loads(scored.encode()) == json.loads(value)


def test_settlement_passes_on_reason_codes_that_it_does_not_know() -> None:
    held = CandidatesScored.decode(newer(make_scored().data, abstentions=[ABSENT]))
    void = CandidatesScored.decode(newer(make_scored().data, void_reason=250))

    reply, *bills = settle(envelop(held))
    (unsold,) = settle(envelop(void))

    assert [int(one.reason) for one in reply.data.abstentions] == [150]  # type: ignore[union-attr]
    assert len(bills) == 2
    assert json.loads(unsold.value)["void_reason"] == 250  # nobody is billed for what was not held
    metrics = Metrics(stages=(), currency="USD", engine="null")
    metrics.committed([reply, unsold])
    assert metrics.registry.get_sample_value("auction_abstentions_total", {"reason": "NEWER_150"}) == 1
    assert metrics.registry.get_sample_value("auction_voids_total", {"reason": "NEWER_250"}) == 1


DECIDES = {
    "payment rule": (make_scored().data, {"payment_rule": "offset_v2"}),
    "outcome": (make_settled(make_scored())[0].data, {"outcome": "postponed"}),
    "version of a rule": (make_settled(make_scored())[1][0].data, {"payment_rule_version": 2}),
}


@pytest.mark.parametrize(("data", "fields"), DECIDES.values(), ids=DECIDES)
def test_a_newer_value_that_decides_something_is_told_from_a_broken_event(
    data: Payload, fields: dict[str, Any]
) -> None:
    with pytest.raises(UnknownValue):
        type(data).decode(newer(data, **fields))
    with pytest.raises(BadRecord) as caught:  # more is wrong with it: no release wrote that
        type(data).decode(newer(data, **fields, query_id="no id!"))
    assert not isinstance(caught.value, UnknownValue)


def test_an_unknown_value_in_a_query_is_a_bad_record() -> None:
    """Strangers write it: an unknown word is theirs to correct."""
    query = make_query()
    with pytest.raises(BadRecord) as caught:
        type(query.data).decode(newer(query.data, parameters={"candidates": 4, "temperature": 1}))

    assert not isinstance(caught.value, UnknownValue)


@pytest.mark.parametrize("reason", [99, 200, 1_500, -150, 0])
def test_a_reason_code_of_another_table_is_no_abstention(reason: int) -> None:
    absent = {**ABSENT, "reason": reason}

    with pytest.raises(BadRecord):
        CandidatesGenerated.decode(newer(make_generated().data, abstentions=[absent]))


def test_newer_reason_codes_are_kept_as_numbers() -> None:
    assert AbstentionReason(151) is AbstentionReason(151)
    assert 151 not in [int(one) for one in AbstentionReason]
    assert "NEWER_151" not in AbstentionReason.__members__
    assert VoidReason(202) is VoidReason.DEADLINE_PASSED


def test_a_reply_with_a_newer_void_reason_is_read() -> None:
    reply = settle(replace(make_scored(), data=make_scored(void_reason=VoidReason.ALL_ABSTAINED).data))[0]

    read = ReplySettled.decode(newer(reply.data, void_reason=251))

    assert (read.outcome, read.void_reason) == ("void", 251)
