"""What people ask who see a charge for the first time is answered where they look."""

from dataclasses import replace
from io import StringIO

import pytest

from tests.support.builders import make_scored, make_settled
from tests.support.forked_command import tessera
from workers.cli import render
from workers.cli.console import Console
from workers.receipts import words
from workers.receipts.query_result import Terminal


def test_the_demo_tells_ids_and_answers_what_a_stranger_asks() -> None:
    output = " ".join(tessera("demo", "--limit", "1").stdout.decode().split())

    assert "How do I bake cookies? demo-memory-001" in output
    assert "the sum of 2 charges" in output and "tried in 1 auction," in output
    assert words.WHAT_IS_PAID in output and words.WHAT_IS_DRAWN in output
    assert "tessera explain demo-memory-001 --from log.jsonl" in output


@pytest.mark.parametrize(
    ("odds", "micros", "shown"),
    [
        ((0.2, 0.5), (10, 20), ["SPONSORED", "Brand00: 20.0% → 50.0%", "Brand01: 50.0% → 50.0%", "  it moved other"]),
        ((0.9, 0.2), (10, 20), ["SPONSORED", "Brand01: 20.0% → 50.0%", "Brand00: 90.0% → 50.0%", "less likely"]),
        ((0.5, 0.5), (0, 0), [words.UNMOVED, "Brand00: 50.0% → 50.0%", "nothing is due"]),
    ],
    ids=["one gained", "one lost", "nobody moved it"],
)
def test_who_gained_most_comes_first_and_an_unmoved_reply_is_not_labelled(
    odds: tuple[float, float], micros: tuple[int, int], shown: list[str]
) -> None:
    settled, charges = make_settled(make_scored(1))
    changes = zip(odds, micros, charges, strict=True)
    bills = tuple(
        replace(
            bill,
            data=bill.data.model_copy(
                update={"probability_without": without, "probability_with": 0.5, "charge_micros": owed}
            ),
        )
        for without, owed, bill in changes
    )
    console = Console(file=StringIO(), width=100)

    console.print(render.terminal("How?", Terminal("query-1", settled, bills)))

    output = console.file.getvalue()  # type: ignore[attr-defined]
    places = [output.index(one) for one in shown]
    assert places == sorted(places)
    assert ("SPONSORED" in output) is (shown[0] == "SPONSORED")
