"""Whole auctions as files: the scored event on record, and what must come of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.envelope import from_record
from schemas.topics import SCORED
from tests.cases import expected
from tests.support.builders import DRAW_KEY, make_record, settle

FOLDER = Path(__file__).parent
CASES = {path.relative_to(FOLDER).with_suffix("").as_posix(): path for path in sorted(FOLDER.glob("*/*.json"))}


def load(name: str) -> dict[str, Any]:
    return dict(json.loads(CASES[name].read_text(encoding="utf-8")))


def test_the_folder_holds_ordinary_and_edge_cases() -> None:
    assert len([name for name in CASES if name.startswith("ordinary/")]) >= 3
    assert len([name for name in CASES if name.startswith("edge/")]) >= 7


@pytest.mark.parametrize("name", CASES)
def test_the_expected_numbers_equal_decimal_arithmetic(name: str) -> None:
    case = load(name)

    assert case["about"]
    assert case["expected"] == expected.work_out(case["scored"])


@pytest.mark.parametrize("name", CASES)
def test_every_case_settles_to_its_expected_outcome(name: str) -> None:
    # Given the scored event of the case, as it lies on its topic
    case = load(name)
    event = from_record(make_record(expected.value_of(case["scored"]), SCORED), SCORED)
    # When it is settled under the tests' key
    assert expected.DRAW_KEY == DRAW_KEY
    reply, *bills = settle(event)  # type: ignore[arg-type]
    # Then outcome, reply and charges are those worked out
    data, want = reply.data, case["expected"]
    assert (data.outcome, data.reply) == (want["outcome"], want["reply"])
    assert {bill.data.advertiser_id: bill.data.charge_micros for bill in bills} == want["charges"]
    assert data.total_charge_micros == sum(want["charges"].values())
    assert [(one.advertiser_id, one.reason) for one in data.abstentions] == [
        (one["advertiser_id"], one["reason"]) for one in case["scored"]["abstentions"]
    ]
    if want["outcome"] == "sold":
        assert data.chosen_index == want["chosen_index"]
        assert data.draw.u == want["u"]
        # integers of 62 bits from floats of 53: equal to one part in 10^12 of the whole
        assert data.weights == pytest.approx(want["weights"], abs=2**62 * 1e-12)
        assert {one.advertiser_id: one.probability_without for one in data.sponsors} == pytest.approx(
            want["probability_without"], abs=1e-12
        )
    else:
        assert (data.weights, data.draw, data.chosen_index) == ((), None, None)
