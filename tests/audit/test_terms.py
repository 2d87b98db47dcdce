"""What auctions were held on is told day by day."""

import pytest

from tests.audit.logs import audited, make_log
from tests.support.builders import make_scored
from workers.audit import terms
from workers.audit.terms import TermsByDay, terms_of


def test_an_auction_on_other_terms_is_told_from_the_others_of_its_day() -> None:
    changes = {1: {"tau_micros_per_nat": 7}, 2: {"currency": "EUR"}, 4: {"draw_epoch": "2026-11-24"}}

    rows = audited(*(make_log(seed, **changes.get(seed, {})) for seed in range(6))).terms.rows()

    assert [(day, one.tau_micros_per_nat, one.currency, count) for day, one, count in rows] == [
        ("2026-11-23", 1_000, "USD", 3),
        ("2026-11-23", 7, "USD", 1),
        ("2026-11-23", 1_000, "EUR", 1),
        ("2026-11-24", 1_000, "USD", 1),
    ]


def test_each_model_of_an_auction_is_named_once() -> None:
    scored = make_scored(1).data
    other = scored.engine.model_copy(update={"model_sha256": "ab" * 32})

    found = terms_of(scored.model_copy(update={"reference_engine": other, "scoring_engine": other}))

    assert found.models == (f"test@{scored.engine.model_sha256[:12]}", f"test@{'ab' * 6}")


def test_memory_is_bounded_however_many_terms_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms, "MOST_ROWS", 3)
    found, usual = TermsByDay(), terms_of(make_scored(1).data)

    for tau in (1, 2, 3, 4, 5, 1):
        found.add("2026-11-23", usual._replace(tau_micros_per_nat=tau))

    assert [(one.tau_micros_per_nat, count) for _, one, count in found.rows()] == [(1, 2), (2, 1), (3, 1)]
    assert found.others == 2
