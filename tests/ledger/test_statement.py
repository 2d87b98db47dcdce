"""Statements and balances: periods, sums against the account, and the commands on a log's lines."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from schemas.envelope import Event
from schemas.lines import to_line
from schemas.payload import Payload
from schemas.statement import Statement
from tests.support.builders import SUBMITTED_AT, make_credit, make_scored, make_settled
from tests.support.forked_command import tessera
from workers.errors import TesseraError
from workers.receipts import statement as building
from workers.receipts.statement import Period, StatementLog
from workers.web.statement.page import page

OWN = "advertiser-00"
HOUR = timedelta(hours=1)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def auction(seed: int, at: datetime = NOON, **changes: Any) -> list[Event[Any]]:
    """Scored event, reply and bills of an auction, whose bills the broker took at that time."""
    scored = make_scored(seed, **changes)
    reply, bills = make_settled(scored)
    return [replace(event, recorded_at=at) for event in (scored, reply, *bills)]


def own_bill(events: list[Event[Any]]) -> Event[Any]:
    return next(one for one in events if getattr(one.data, "advertiser_id", "") == OWN)


def log_of(*events: Event[Payload], begin: datetime | None = None, end: datetime | None = None) -> StatementLog:
    log = StatementLog(OWN, Period(begin, end))
    for offset, event in enumerate(events):
        log.add(event, offset)
    return log


DAYS = [auction(seed, NOON + seed * HOUR) for seed in range(1, 6)]
EVENTS = [event for day in DAYS for event in day]
CHARGES = [own_bill(day).data.charge_micros for day in DAYS]


def test_a_statement_has_a_line_for_each_charge_with_what_it_bought() -> None:
    found = log_of(*EVENTS).statement("USD")

    assert [line.charge_micros for line in found.lines] == CHARGES
    for line, day in zip(found.lines, DAYS, strict=True):
        _, reply, *_ = day
        bill = own_bill(day)
        assert (line.reply, line.bill_sha256) == (reply.data.reply, bill.digest)
        assert (line.probability_with, line.probability_without) == (
            bill.data.probability_with,
            bill.data.probability_without,
        )
        assert line.named_with == line.named_without == 0.0  # no candidate of these names it
    assert (found.problems, found.totals.measured) == ((), 5)
    assert found.totals.closing_balance_micros == found.totals.charged_micros == sum(CHARGES)


def test_the_order_of_the_events_does_not_matter() -> None:
    bills = [event for event in EVENTS if event.type.endswith("charged.v1")]
    others = [event for event in EVENTS if event not in bills]

    assert log_of(*others, *bills).statement("USD") == log_of(*bills, *others).statement("USD")


def test_a_charge_belongs_to_the_period_in_which_the_broker_took_its_bill() -> None:
    first, credited = make_credit(own_bill(DAYS[0]), 2), make_credit(own_bill(DAYS[1]), 3, "second")
    late = replace(credited, recorded_at=NOON + 3 * HOUR)
    events = [*EVENTS, replace(first, recorded_at=NOON + HOUR), late]

    found = log_of(*events, begin=NOON + 2 * HOUR, end=NOON + 4 * HOUR).statement("USD")

    assert [line.charge_micros for line in found.lines] == CHARGES[1:3]
    assert [credit.credit_micros for credit in found.credits] == [3]
    totals = found.totals
    assert totals.opening_balance_micros == CHARGES[0] - 2
    assert totals.closing_balance_micros == sum(CHARGES[:3]) - 5
    assert found.problems == ()


def test_periods_in_a_row_join() -> None:
    edges = [None, NOON + 2 * HOUR, NOON + 4 * HOUR, None]
    found = [log_of(*EVENTS, begin=begin, end=end).statement("USD") for begin, end in pairwise(edges)]

    assert [line for one in found for line in one.lines] == list(log_of(*EVENTS).statement("USD").lines)
    for one, following in pairwise(found):
        assert one.totals.closing_balance_micros == following.totals.opening_balance_micros


def test_without_a_brokers_stamp_the_events_own_time_counts() -> None:
    events = [replace(event, recorded_at=None) for event in DAYS[0]]

    assert log_of(*events, end=SUBMITTED_AT).currencies == []
    assert len(log_of(*events, begin=SUBMITTED_AT).statement("USD").lines) == 1


def test_a_reply_that_is_kept_no_longer_is_absent_and_the_charge_is_there() -> None:
    (line,) = log_of(own_bill(DAYS[0])).statement("USD").lines

    assert (line.reply, line.named_with, line.charge_micros) == (None, None, CHARGES[0])


def test_a_bill_that_came_twice_is_counted_once_and_said() -> None:
    found = log_of(*EVENTS, own_bill(DAYS[0])).statement("USD")

    assert found.totals.charged_micros == sum(CHARGES)
    assert found.problems == ("1 bill or credit came twice, and once is counted",)


def test_what_does_not_fit_its_reply_is_said() -> None:
    scored, reply, *bills = DAYS[0]
    told = tuple(one.model_copy(update={"probability_with": 0.5}) for one in reply.data.sponsors)
    lying = reply.data.model_copy(update={"charge_ids": (), "sponsors": told})
    log = log_of(scored, *bills)
    log.add(replace(reply, data=lying), 9)

    one, other = log.statement("USD").problems

    assert one == f"the reply to query-1 does not list the charge {own_bill(DAYS[0]).data.charge_id}"
    assert other == "the reply to query-1 discloses other probabilities than its bill"


def test_more_credited_than_charged_is_said() -> None:
    bill = own_bill(DAYS[0])
    events = [make_credit(bill), make_credit(bill, 1, "second")]

    (problem,) = log_of(*DAYS[0], *events).statement("USD").problems

    assert problem == f"more was credited of charge {bill.data.charge_id} than it was"


def test_a_period_with_too_many_charges_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "MOST_LINES", 3)

    with pytest.raises(TesseraError, match="more than 3 charges in that time: choose a shorter one"):
        log_of(*EVENTS)


# The commands


def written(path: Path, *events: Event[Any]) -> str:
    path.write_bytes(b"".join(to_line(event) + b"\n" for event in events))
    return str(path)


def test_the_statement_of_a_log_in_each_form(tmp_path: Path) -> None:
    log = written(tmp_path / "log.jsonl", *EVENTS, make_credit(own_bill(DAYS[0]), 2))
    html = tmp_path / "statement.html"

    people, machine, sheet, paper = [
        tessera("statement", OWN, "--log", log, *rest) for rest in ([], ["--json"], ["--csv"], ["--html", str(html)])
    ]

    owed = sum(CHARGES) - 2
    assert [done.returncode for done in (people, machine, sheet, paper)] == [0] * 4, people.stderr
    assert "reconciled to the micro" in (said := " ".join(people.stdout.decode().split()))
    assert f"of {len(CHARGES)} bills" in said and "of 1 credit =" in said
    assert Statement.model_validate_json(machine.stdout).totals.closing_balance_micros == owed
    rows = list(csv.DictReader(io.StringIO(sheet.stdout.decode(), newline="")))
    assert sum(int(row["micros"]) for row in rows) == owed
    assert "Reconciled to the bills, to the micro." in html.read_text()


def test_who_has_no_bill_is_told_where_the_ids_are(tmp_path: Path) -> None:
    """A reply and a receipt show names, and accounts go by ids."""
    done = tessera("statement", "OvenNest", "--log", written(tmp_path / "log.jsonl", *EVENTS))

    assert done.returncode == 2
    assert "no bill of OvenNest" in done.stderr.decode() and "`tessera balance` lists the ids" in done.stderr.decode()


def test_an_advertiser_is_found_by_its_name_unless_another_has_it_too(tmp_path: Path) -> None:
    """Accounts go by ids; a reply and a receipt show names."""
    name, alone, shared = own_bill(DAYS[0]).data.name, tmp_path / "alone.jsonl", tmp_path / "shared.jsonl"
    written(alone, *EVENTS)
    shared.write_text(alone.read_text().replace('"Brand01"', f'"{name}"'))

    named, by_id, ambiguous = (
        tessera("statement", who, "--log", str(log), "--json")
        for who, log in ((name, alone), (OWN, alone), (name, shared))
    )

    assert (named.returncode, named.stdout) == (0, by_id.stdout)
    assert ambiguous.returncode == 2
    assert f"{name} is the name of {OWN}, advertiser-01" in ambiguous.stderr.decode()


def test_balances_of_a_log_are_its_bills_less_its_credits(tmp_path: Path) -> None:
    log = written(tmp_path / "log.jsonl", *EVENTS, make_credit(own_bill(DAYS[0]), 2))

    all_, one = [tessera("balance", *who, "--log", log, "--json") for who in ([], [OWN])]

    *accounts, total = [json.loads(line) for line in all_.stdout.splitlines()]
    bills = sum(event.data.charge_micros for event in EVENTS if event.type.endswith("charged.v1"))
    assert sum(account["balance_micros"] for account in accounts) == total["revenue_micros"] == bills - 2
    assert total["trial_balance_micros"] == 0
    assert json.loads(one.stdout.splitlines()[0])["balance_micros"] == sum(CHARGES) - 2
    assert "trial balance 0.000000 USD" in tessera("balance", "--log", log).stdout.decode()


def test_a_balance_is_what_was_owed_then_or_what_came_since(tmp_path: Path) -> None:
    log = written(tmp_path / "log.jsonl", *EVENTS, replace(make_credit(own_bill(DAYS[0]), 2), recorded_at=NOON + HOUR))
    middle = "2026-11-23T15:00:00Z"

    then, since = [tessera("balance", OWN, "--log", log, "--json", *limit, middle) for limit in (["--to"], ["--from"])]

    assert json.loads(then.stdout.splitlines()[0])["balance_micros"] == sum(CHARGES[:2]) - 2
    assert json.loads(since.stdout.splitlines()[0])["balance_micros"] == sum(CHARGES[2:])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["balance", "--from", "2027-01-01"], "there is no bill in that time"),
        (["statement", "nobody"], "there is no bill of nobody"),
        (["statement", OWN, "--currency", "EUR"], "has no account in EUR; it has one in USD"),
        (["statement", OWN, "--from", "yesterday"], "is neither a day as in 2026-11-24 nor a time"),
        (["statement", OWN, "--to", "2026-11-01"], "there is no bill of advertiser-00 before the end"),
        (["balance", "nobody"], "there is no bill of nobody: `tessera balance` lists the ids with bills"),
    ],
)
def test_what_cannot_be_made_is_said(tmp_path: Path, words: list[str], says: str) -> None:
    done = tessera(*words, "--log", written(tmp_path / "log.jsonl", *EVENTS))

    assert (done.returncode, says in " ".join(done.stderr.decode().split())) == (2, True), done.stderr


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = Path(written(tmp_path / "log.jsonl", *EVENTS))
    path.write_bytes(path.read_bytes()[:-40])

    for command in (["balance"], ["statement", "advertiser-01"]):
        done = tessera(*command, "--log", str(path))
        assert (done.returncode, f"line {len(EVENTS)}: BAD_JSON".encode() in done.stderr) == (2, True), done.stderr


def test_a_statement_that_does_not_fit_ends_with_1(tmp_path: Path) -> None:
    log = written(tmp_path / "log.jsonl", *EVENTS, own_bill(DAYS[0]))

    for command in (["statement", OWN], ["balance"]):
        done = tessera(*command, "--log", log)
        assert done.returncode == 1 and b"1 bill or credit came twice, and once is counted" in done.stderr


# The page

HOSTILE = ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</style><b>", "&amp; \" ' {{x}}")


@pytest.mark.parametrize("text", HOSTILE)
def test_strangers_text_is_escaped_on_the_page_and_no_formula_in_the_sheet(text: str, tmp_path: Path) -> None:
    events = auction(7)
    found = log_of(*events, make_credit(own_bill(events), 1, reason=text)).statement("USD")
    (line,) = found.lines
    html = page(found.model_copy(update={"lines": (line.model_copy(update={"reply": text}),)}))

    assert "<script" not in html and "<img" not in html and "<b>" not in html
    assert html.count("</style") == 1
    assert not re.search(r"""(src|href|action|data)\s*=\s*["']|url\(|@import|https?:""", html)


def test_a_reply_that_looks_like_a_formula_is_text_in_the_sheet() -> None:
    from workers.cli.statement_view import csv_text

    found = log_of(*auction(7)).statement("USD")
    formula = found.lines[0].model_copy(update={"reply": '=HYPERLINK("x")'})

    (row,) = csv.DictReader(io.StringIO(csv_text(found.model_copy(update={"lines": (formula,)})), newline=""))

    assert row["text"] == '\'=HYPERLINK("x")'
