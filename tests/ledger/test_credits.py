"""Corrections: idempotent by key, never above the charge, and the audit knows them from frauds."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.billing import AdvertiserCredited
from schemas.identity import derive
from schemas.lines import to_line
from schemas.payload import BadRecord, Payload
from schemas.topics import CREDITED
from tests.audit.logs import Log, lines, make_log
from tests.support.builders import DRAW_KEY, SUBMITTED_AT, envelop, make_credit, make_scored, make_settled
from tests.support.forked_command import tessera
from workers.audit.auditor import Audit
from workers.audit.entries import read_line
from workers.audit.findings import Check, Finding, Tally
from workers.ledger.amounts import money, read_amount
from workers.ledger.credits import Correction, CreditRefused, issue

BILL = make_settled(make_scored(3))[1][0]
CHARGE = BILL.data.charge_micros
WHY = "shown to a test user"


def issued(micros: int | None, *earlier: AdvertiserCredited, key: str = "first", reason: str = WHY) -> int | None:
    found = issue(BILL, earlier, Correction(micros, reason, key), SUBMITTED_AT)
    return found.data.credit_micros if found else None


def test_a_credit_names_the_bill_that_it_corrects() -> None:
    credit = make_credit(BILL, 1)

    assert (credit.type, credit.subject, credit.causation_id) == (CREDITED.name, BILL.data.advertiser_id, BILL.id)
    assert credit.data.charged_sha256 == BILL.digest
    assert credit.id != make_credit(BILL, 1, "second").id


def test_the_same_credit_once_more_is_none() -> None:
    first = make_credit(BILL, 5).data

    assert [issued(5, first), issued(None, first)] == [None, None]


@pytest.mark.parametrize(("micros", "reason"), [(6, WHY), (5, "another reason")])
def test_another_credit_under_a_used_key_is_refused(micros: int, reason: str) -> None:
    with pytest.raises(CreditRefused, match=r"a credit under the key 'first': 0\.000005 USD, 'shown to a test user'"):
        issued(micros, make_credit(BILL, 5).data, reason=reason)


def test_all_is_what_earlier_credits_left() -> None:
    assert issued(None) == CHARGE
    assert issued(None, make_credit(BILL, 5).data, key="second") == CHARGE - 5


def test_nothing_above_the_charge_and_nothing_of_zero() -> None:
    with pytest.raises(CreditRefused, match=f"at most {money(CHARGE, 'USD')} can be credited"):
        issued(CHARGE + 1)
    with pytest.raises(CreditRefused, match="a credit is of at least one micro"):
        issued(0)


def test_two_credits_never_exceed_the_charge_together() -> None:
    with pytest.raises(CreditRefused, match=r"of which .* were credited before: at most 0\.000001 USD can"):
        issued(2, make_credit(BILL, CHARGE - 1).data, key="second")


def test_what_was_credited_whole_has_nothing_left() -> None:
    with pytest.raises(CreditRefused, match="there is nothing to credit"):
        issued(None, make_credit(BILL).data, key="second")


def test_an_event_with_more_than_the_charge_is_no_event() -> None:
    fields = json.loads(make_credit(BILL).value) | {"credit_micros": CHARGE + 1}

    with pytest.raises(BadRecord, match="credit_micros is above charge_micros"):
        AdvertiserCredited.decode(json.dumps(fields).encode())


@given(st.integers(-(10**17), 10**17))
def test_amounts_are_exact_in_text(micros: int) -> None:
    text = money(micros, "USD").removesuffix(" USD")

    assert read_amount(text.removeprefix("-")) == abs(micros)
    assert text.startswith("-") is (micros < 0)


@pytest.mark.parametrize("text", ["", "-1", "1.0000001", "1e3", "NaN", "1,5", ".5", "1.", "٣", "9" * 13])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        read_amount(text)


# The audit

LOG = make_log(3, candidates=6, advertisers=3)


def credit_of(log: Log, micros: int | None = None, key: str = "first", **changes: Any) -> AdvertiserCredited:
    """A credit of the log's first bill, with other fields where it tells a lie."""
    credit: AdvertiserCredited = make_credit(envelop(log.bills[0]), micros, key).data
    return credit.model_copy(update=changes)


def audited(*payloads: Payload, credits_first: bool = True) -> tuple[list[str], Tally]:
    found: list[Finding] = []
    audit = Audit(found.append, [DRAW_KEY], credits_first=credits_first)
    for number, line in enumerate(lines(payloads), 1):
        entry = read_line(line, number)
        assert entry is not None
        audit.add(entry)
    return [one.kind.value for one in found], audit.finish()


def test_credits_of_a_bill_are_right() -> None:
    kinds, tally = audited(credit_of(LOG, 1), credit_of(LOG, 2, "second"), *LOG.payloads())

    assert (kinds, tally.checked[Check.CREDITS], tally.unverifiable[Check.CREDITS]) == ([], 2, 0)


@pytest.mark.parametrize(
    ("credits", "kind"),
    [
        ([credit_of(LOG, 1), credit_of(LOG, 1)], "double_credit"),
        ([credit_of(LOG, 1, credit_id="0" * 64)], "wrong_credit_id"),
        ([credit_of(LOG, 1, charged_sha256="0" * 64)], "wrong_credit_field"),
        ([credit_of(LOG, 1, currency="EUR")], "wrong_credit_field"),
        ([credit_of(LOG, 1, advertiser_id="somebody-else")], "wrong_credit_field"),
        ([credit_of(LOG, 1, charge_micros=10**9)], "wrong_credit_field"),
        ([credit_of(LOG), credit_of(LOG, 1, "second")], "above_charge"),
    ],
)
def test_each_fraud_with_a_credit_is_found_by_its_name(credits: list[AdvertiserCredited], kind: str) -> None:
    assert audited(*credits, *LOG.payloads())[0] == [kind]


def test_a_credit_without_a_bill_is_found_at_the_end() -> None:
    charge_id = "1" * 64
    credit = credit_of(LOG, 1, charge_id=charge_id, credit_id=derive("credit", charge_id, "first"))
    found: list[Finding] = []
    audit = Audit(found.append, [DRAW_KEY], credits_first=True)
    for number, line in enumerate(lines([credit, *LOG.payloads()]), 1):
        audit.add(read_line(line, number))  # type: ignore[arg-type]  # none is passed over
    audit.finish()

    assert [one.kind.value for one in found] == ["unknown_charge"]


def written(path: Path) -> Path:
    """A log as it is consumed: the credit behind its bill."""
    bill, *_ = LOG.bills
    events = [envelop(one, recorded_at=SUBMITTED_AT) for one in (*LOG.payloads(), credit_of(LOG, bill.charge_micros))]
    path.write_bytes(b"\n".join(to_line(replace(event)) for event in events) + b"\n")
    return path


def test_a_file_is_read_twice_so_that_credits_behind_their_bills_are_checked(tmp_path: Path) -> None:
    path = written(tmp_path / "log.jsonl")

    done = tessera("audit", "--json", str(path), draw_key=DRAW_KEY.decode())

    totals = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout
    assert totals["invariants"]["credits"] == {"checked": 1, "wrong": 0, "not_verifiable": 0}


def test_from_a_pipe_a_credit_behind_its_bill_is_not_verifiable(tmp_path: Path) -> None:
    given = written(tmp_path / "log.jsonl").read_bytes()

    done = tessera("audit", "--json", "-", given=given, draw_key=DRAW_KEY.decode())

    totals = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, totals["discrepancies"]) == (0, 0)
    assert totals["invariants"]["credits"]["not_verifiable"] == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["abc", "--amount", "1", "--reason", "x"], "is no charge id"),
        (["a" * 64, "--amount", "1.0000001", "--reason", "x"], "at most six decimal places; or 'all'"),
        (["a" * 64, "--amount", "1", "--reason", "two\nlines"], "is a control, invisible or unassigned character"),
        (["a" * 64, "--amount", "1", "--reason", "x" * 501], "more than 500 characters"),
        (["a" * 64, "--amount", "1", "--reason", "x", "--key", "a b"], "is no key"),
    ],
)
def test_bad_input_is_named_before_kafka_is_asked(words: list[str], says: str) -> None:
    done = tessera("credit", *words)

    assert (done.returncode, says in " ".join(done.stderr.decode().split())) == (2, True), done.stderr
