"""A log that jq 1.6 wrote anew: it takes every number for a float of 17 digits, and the log stays auditable."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from schemas.lines import read_event, to_line
from schemas.payload import BadRecord
from schemas.reply import ReplySettled
from schemas.topics import SCORED, SETTLED
from tests.audit.logs import committed
from tests.support.builders import DRAW_KEY, SUBMITTED_AT, envelop, make_scored, make_settled, settle
from workers.audit.auditor import Audit
from workers.audit.entries import read_line
from workers.audit.findings import Finding

SCORED_EVENT = replace(make_scored(3, candidates=7, advertisers=3), recorded_at=SUBMITTED_AT)
LOG = [
    to_line(replace(event, recorded_at=SUBMITTED_AT))
    for event in (envelop(committed()), SCORED_EVENT, *settle(SCORED_EVENT))
]


def as_jq_writes(line: bytes) -> bytes:
    def written(digits: str) -> int | float:
        rounded = Decimal(f"{float(digits):.17g}")
        return int(rounded) if rounded == rounded.to_integral_value() else float(rounded)

    fields = json.loads(line, parse_int=written, parse_float=written)
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def sentences(lines: list[bytes]) -> list[str]:
    found: list[Finding] = []
    audit = Audit(found.append, [DRAW_KEY])
    for number, line in enumerate(lines, 1):
        if (entry := read_line(line, number)) is not None:
            audit.add(entry)
    audit.finish()
    return [finding.sentence for finding in found]


def test_a_log_whose_numbers_a_json_tool_rounded_still_audits() -> None:
    rewritten = [as_jq_writes(line) for line in LOG]
    assert all(one != other for one, other in zip(LOG[1:3], rewritten[1:3], strict=True))
    rounded = json.loads(rewritten[2])["data"]["weights"]
    assert rounded != json.loads(LOG[2])["data"]["weights"]

    assert sentences(LOG) == sentences(rewritten) == []


def test_the_exact_bytes_of_an_event_are_restored_from_its_line() -> None:
    scored, settled = (
        read_event(as_jq_writes(line), topic) for line, topic in zip(LOG[1:3], (SCORED, SETTLED), strict=True)
    )

    assert scored is not None and settled is not None
    assert (scored.value, scored.digest) == (SCORED_EVENT.value, SCORED_EVENT.digest)
    assert to_line(settled) == LOG[2]
    assert [event.value for event in settle(scored)] == [event.value for event in settle(SCORED_EVENT)]  # type: ignore[arg-type]


def test_the_exact_bytes_are_not_restored_for_a_changed_event() -> None:
    changed = LOG[1].replace(b'"tau_micros_per_nat":1000', b'"tau_micros_per_nat":1001')
    assert changed != LOG[1]

    event = read_event(as_jq_writes(changed), SCORED)

    assert event is not None and event.digest != SCORED_EVENT.digest
    assert sentences([LOG[0], changed, *LOG[2:]])


def with_weights(weights: object, **fields: Any) -> bytes:
    return json.dumps({**json.loads(make_settled(SCORED_EVENT)[0].value), "weights": weights, **fields}).encode()


def test_the_kept_digits_decide_and_numbers_may_only_be_their_rounding() -> None:
    exact = make_settled(SCORED_EVENT)[0].data.weights

    assert ReplySettled.decode(with_weights([float(weight) for weight in exact])).weights == exact
    for wrong in ([0] * 7, list(exact[:-1]), [str(weight) for weight in exact], [True] * 7, None, "7"):
        with pytest.raises(BadRecord):
            ReplySettled.decode(with_weights(wrong))
    for digits in (["01"] * 7, [str(2**62 + 2**20)] * 7, ["-1"] * 7, ["٣"] * 7):
        with pytest.raises(BadRecord):
            ReplySettled.decode(with_weights([2**62 + 2**20] * 7, weights_text=digits))


def test_events_of_the_first_releases_have_no_kept_digits() -> None:
    exact = make_settled(SCORED_EVENT)[0].data.weights

    assert ReplySettled.decode(with_weights(list(exact), weights_text=[])).weights == exact
