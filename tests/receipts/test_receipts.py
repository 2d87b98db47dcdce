"""The two receipts: everything in them recomputes, every tampering shows, and the advertiser's gives nobody away."""

import json
import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas.publish import document
from schemas.receipt import AdvertiserReceipt, AuditorReceipt
from tests.mechanism.exact import solve
from tests.receipts.sales import linked, make_sale, receipts_of
from tests.support.builders import envelop, make_bidder, make_scored
from workers.errors import ReceiptError
from workers.mechanism.epochs import epoch_key
from workers.receipts.build import advertiser_receipt, auditor_receipt
from workers.receipts.recheck import recheck
from workers.receipts.sale import KnownKey, Sale

GROUPS = st.lists(st.sampled_from([None, "group-a", "group-b"]), min_size=1, max_size=5)


@given(seed=st.integers(0, 10_000), candidates=st.integers(1, 12), groups=GROUPS)
@settings(deadline=None)
def test_every_receipt_recomputes_from_its_own_json(seed: int, candidates: int, groups: list[str | None]) -> None:
    sale = make_sale(seed, candidates=candidates, advertisers=linked(groups))

    for receipt in receipts_of(sale):
        assert recheck(type(receipt).model_validate_json(receipt.model_dump_json())) == []


def test_the_charges_are_those_of_decimal_arithmetic() -> None:
    sale = make_sale(3, candidates=7, advertisers=3)
    scored = sale.scored.data
    exact = solve(
        [candidate.log_q for candidate in scored.candidates],
        list(scored.log_ref),
        [list(scored.rewards_micros[bidder.advertiser_id]) for bidder in scored.advertisers],
        scored.tau_micros_per_nat,
    )

    receipt = auditor_receipt(sale)

    for party, charge, without in zip(receipt.parties, exact.charges, exact.pi_without, strict=True):
        assert Decimal(party.charge.before_rounding_micros) == pytest.approx(charge, abs=Decimal("1e-8"))
        assert party.probabilities_without == pytest.approx([float(one) for one in without], abs=1e-12)


def test_a_party_has_one_charge_and_its_first_member_pays_it() -> None:
    sale = make_sale(5, advertisers=linked(["group-a", None, "group-a"]))

    party, alone = auditor_receipt(sale).parties
    first, second = (advertiser_receipt(sale, f"advertiser-{index:02}") for index in (0, 2))

    assert [member.declaration.advertiser_id for member in party.members] == ["advertiser-00", "advertiser-02"]
    assert [member.bill.charge_micros for member in party.members] == [party.charge.rounded_micros, 0]
    assert len(alone.members) == 1
    assert (first.carries_charge, first.bill.charge_micros) == (True, party.charge.rounded_micros)
    assert (second.carries_charge, second.bill.charge_micros) == (False, 0)
    assert first.probabilities_without == second.probabilities_without == party.probabilities_without
    assert (first.party_members, first.other_advertisers) == (2, 1)


def test_probabilities_too_small_for_a_float_still_give_the_charge() -> None:
    # Given an advertiser that wants one reply so much that without it that reply's chance is below 1e-308
    bidder = make_bidder(0, reward_range_micros=(0, 2_000_000))
    rewards = {bidder.advertiser_id: (0.0, 2e6, 0.0, 0.0)}
    sale = make_sale(1, advertisers=[bidder], rewards_micros=rewards, log_ref=(-1.0, -900.0, -1.0, -1.0))
    # When it gets its receipt
    receipt = advertiser_receipt(sale, "advertiser-00")
    # Then π₋ᵢ is 0 where π is not, and the charge follows nevertheless
    assert receipt.probabilities_without[1] == 0.0 < receipt.probabilities[1]
    assert receipt.charge.before_rounding_micros > 800_000
    assert recheck(receipt) == []


def changed(receipt: Any, path: str, value: Any) -> Any:
    """A copy with one field replaced; `path` as in parties.0.charge.rounded_micros."""
    fields = json.loads(receipt.model_dump_json())
    inner: Any = fields
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        inner = inner[step]
    inner[last] = value(inner[last]) if callable(value) else value
    return type(receipt).model_validate_json(json.dumps(fields))


def flip(digits: str) -> str:
    return ("1" if digits[0] == "0" else "0") + digits[1:]


BOTH = [
    ("tau_micros_per_nat", lambda tau: tau + 1),
    ("probabilities.0", lambda chance: chance * 0.99),
    ("log_probabilities.0", lambda one: one - 0.01),
    ("draw.u", lambda _: "f" * 32),
    ("draw.key", flip),
    ("draw.key_sha256", flip),
    ("draw.committed_key_sha256", flip),
    ("draw.verification", "failed"),
    ("draw.weights.1", lambda weight: weight // 2),
    ("scored_sha256", flip),
    ("auction_id", flip),
]
AUDITORS = [
    ("candidates.1.log_q", lambda one: one - 0.5),
    ("candidates.1.log_ref", lambda one: one - 0.5),
    ("candidates.0.text", "Another text."),
    ("reply", "Another reply."),
    ("parties.1.members.0.declaration.rewards_micros.0", lambda one: one + 100.0),
    ("parties.0.probabilities_without.0", lambda chance: chance * 0.9),
    ("parties.0.charge.influence_nats", lambda nats: nats * 1.001),
    ("parties.0.charge.before_rounding_micros", lambda micros: micros + 0.1),
    ("parties.0.charge.rounded_micros", lambda micros: micros + 1),
    ("parties.0.members.0.bill.charge_micros", lambda micros: micros + 1),
    ("parties.0.members.0.bill.bound_micros", 0),
    ("total_charge_micros", lambda micros: micros + 1),
]
ADVERTISERS = [
    ("probabilities_without.0", lambda chance: chance * 0.9),
    ("log_probabilities_without.0", lambda one: one - 0.1),
    ("charge.rounded_micros", lambda micros: micros + 1),
    ("charge.before_rounding_micros", lambda micros: micros + 0.1),
    ("bill.charge_micros", lambda micros: micros + 1),
    ("bill.bound_micros", 0),
    ("carries_charge", False),
]


@pytest.mark.parametrize(("path", "value"), [*BOTH, *AUDITORS], ids=lambda one: one if isinstance(one, str) else "")
def test_an_auditors_receipt_that_was_tampered_with_does_not_recompute(path: str, value: Any) -> None:
    receipt = auditor_receipt(make_sale(2, advertisers=3))
    assert recheck(receipt) == []

    assert recheck(changed(receipt, path, value))


@pytest.mark.parametrize(("path", "value"), [*BOTH, *ADVERTISERS], ids=lambda one: one if isinstance(one, str) else "")
def test_an_advertisers_receipt_that_was_tampered_with_does_not_recompute(path: str, value: Any) -> None:
    receipt = advertiser_receipt(make_sale(2, advertisers=3), "advertiser-01")
    assert recheck(receipt) == []

    assert recheck(changed(receipt, path, value))


def test_numbers_that_are_no_auction_are_reported_as_a_problem() -> None:
    receipt = auditor_receipt(make_sale(2))

    assert recheck(changed(receipt, "probabilities", [1.0]))
    assert recheck(changed(receipt, "draw.weights", [0, 0, 0, 0]))
    assert recheck(changed(receipt, "parties.0.members.0.declaration.rewards_micros", [1.0]))


@given(seed=st.integers(0, 1_000), own=st.integers(0, 2))
def test_an_advertisers_receipt_holds_nothing_of_the_others(seed: int, own: int) -> None:
    # Given three advertisers, two of them one party, and a sale
    sale = make_sale(seed, candidates=5, advertisers=linked([None, "group-a", "group-a"]))
    scored = sale.scored.data
    # When one of them gets its receipt
    text = advertiser_receipt(sale, f"advertiser-{own:02}").model_dump_json()
    # Then no id, name, wish or bill of another is in it, and no log-probability under proposal or reference model
    numbers = set(numbers_in(json.loads(text)))
    for other in (bidder for bidder in scored.advertisers if bidder.advertiser_id != f"advertiser-{own:02}"):
        assert other.advertiser_id not in text
        assert other.name not in text
        assert other.description not in text
        assert not numbers & set(scored.rewards_micros[other.advertiser_id])
    assert not numbers & {candidate.log_q for candidate in scored.candidates}
    assert not numbers & set(scored.log_ref)
    assert "log_q" not in text and "log_ref" not in text
    assert not numbers & {ref - one.log_q for one, ref in zip(scored.candidates, scored.log_ref, strict=True)}
    for candidate in scored.candidates:
        assert (candidate.text in text) == (candidate.index == sale.chosen)


def numbers_in(tree: Any) -> list[float]:
    """Every number of a JSON value that is not whole."""
    if isinstance(tree, dict):
        return [number for value in tree.values() for number in numbers_in(value)]
    if isinstance(tree, list):
        return [number for value in tree for number in numbers_in(value)]
    return [tree] if isinstance(tree, float) and not tree.is_integer() else []


def test_the_auditors_receipt_holds_every_advertisers_numbers() -> None:
    sale = make_sale(1)  # so that the test above can fail
    text = auditor_receipt(sale).model_dump_json()

    assert "advertiser-00" in text and "advertiser-01" in text
    assert {candidate.log_q for candidate in sale.scored.data.candidates} <= set(numbers_in(json.loads(text)))


def test_the_draw_is_verified_with_the_key_and_shows_it_only_once_it_is_public() -> None:
    known, secret, unknown = (auditor_receipt(make_sale(4, public=public)).draw for public in (True, False, None))

    assert (known.verification, secret.verification, unknown.verification) == ("verified", "verified", "key_unknown")
    assert known.key is not None
    assert secret.key is None and unknown.key is None
    assert known.u == secret.u == unknown.u


def test_a_draw_that_its_key_does_not_give_is_reported_as_failed() -> None:
    sale = make_sale(4)
    assert sale.settled.data.draw is not None and sale.committed is not None
    wrong = replace(sale, committed=replace(sale.committed, key_sha256="0" * 64))
    assert auditor_receipt(wrong).draw.verification == "failed"
    other = replace(sale, known=KnownKey(epoch_key(b"another key", sale.draw.epoch), True))
    assert auditor_receipt(other).draw.verification == "key_unknown"

    draw = sale.settled.data.draw.model_copy(update={"u": "0" * 32})
    forged = envelop(sale.settled.data.model_copy(update={"draw": draw}))
    bills = tuple(
        replace(bill, data=bill.data.model_copy(update={"settled_sha256": forged.digest})) for bill in sale.bills
    )
    assert auditor_receipt(replace(sale, settled=forged, bills=bills)).draw.verification == "failed"


def test_the_receipt_of_a_draw_without_an_epoch_does_not_show_the_operators_secret() -> None:
    draw = auditor_receipt(make_sale(4, draw_epoch=None)).draw

    assert (draw.epoch, draw.verification, draw.key, draw.committed_key_sha256) == (None, "verified", None, None)


def test_events_that_do_not_belong_together_have_no_receipt() -> None:
    sale, other = make_sale(1), make_sale(2)

    with pytest.raises(ReceiptError, match="another scored event"):
        Sale(other.scored, sale.settled, sale.bills)
    with pytest.raises(ReceiptError, match="not those that its reply names"):
        Sale(sale.scored, sale.settled, sale.bills[:1])
    unsold = make_scored(3, advertisers=0)
    with pytest.raises(ReceiptError, match="was not sold"):
        make_sale(3, advertisers=0)
    assert not unsold.data.is_held


def test_an_advertiser_without_a_bid_gets_no_receipt_and_learns_no_names() -> None:
    sale = make_sale(1)

    with pytest.raises(ReceiptError, match="nobody took no part") as error:
        advertiser_receipt(sale, "nobody")

    assert not any(bill.data.advertiser_id in str(error.value) for bill in sale.bills)


def test_an_advertiser_is_found_by_its_name_and_two_of_one_name_are_told_apart() -> None:
    sale = make_sale(1)
    (first, *_) = sale.scored.data.advertisers

    assert advertiser_receipt(sale, first.name.upper()) == advertiser_receipt(sale, first.advertiser_id)

    twins = [make_bidder(index, name="Twin") for index in range(2)]
    with pytest.raises(ReceiptError, match="2 advertisers are called twin; say which by its id: advertiser-00, adv"):
        advertiser_receipt(make_sale(1, advertisers=twins), "twin")


def test_receipts_are_valid_under_the_published_schemas() -> None:
    auditor, *advertisers = receipts_of(make_sale(6, advertisers=[make_bidder(0), make_bidder(1)]))

    for name, receipt in [("receipt.auditor.v1", auditor), *(("receipt.advertiser.v1", one) for one in advertisers)]:
        Draft202012Validator(document(name)).validate(json.loads(receipt.model_dump_json()))
    assert isinstance(auditor, AuditorReceipt) and isinstance(advertisers[0], AdvertiserReceipt)
    assert math.isclose(sum(auditor.probabilities), 1.0, abs_tol=1e-12)
