"""`tessera audit` as a user meets it: files and pipes, verdicts, exit codes."""

import json
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from schemas.topics import TOPICS
from tests.audit.logs import Log, committed, lines, make_log
from tests.support.builders import DRAW_KEY, make_events, make_query
from tests.support.forked_command import tessera
from workers.audit.findings import Check, Tally
from workers.cli.audit_view import Findings, print_verdict

SECRET = DRAW_KEY.decode()


def written(path: Path, *logs: Log) -> Path:
    path.write_bytes(b"\n".join(line for log in logs for line in lines(log.payloads())) + b"\n")
    return path


def lying(seed: int) -> Log:
    log = make_log(seed)
    return log.change_bill(0, charge_micros=log.bills[0].charge_micros + 1)


def objects(done: "subprocess.CompletedProcess[bytes]") -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_correct_log_exits_with_0(tmp_path: Path) -> None:
    path = written(tmp_path / "log.jsonl", *(make_log(seed) for seed in range(5)))

    done = tessera("audit", str(path), draw_key=SECRET)

    assert done.returncode == 0, done.stderr.decode()
    assert "5 auctions: everything is right" in done.stdout.decode()
    assert all(invariant.value in done.stdout.decode() for invariant in Check)


def test_a_wrong_charge_exits_with_1_and_prints_a_sentence(tmp_path: Path) -> None:
    lie = lying(1)
    path = written(tmp_path / "log.jsonl", make_log(0), lie)

    done = tessera("audit", str(path), draw_key=SECRET)

    assert done.returncode == 1
    charge = lie.bills[0].charge_micros
    says = f"query query-1, advertiser advertiser-00: charge in micros: logged {charge}, right {charge - 1} ("
    assert f"wrong_charge: {says}" in done.stdout.decode()
    assert "2 auctions: 1 discrepancy" in done.stdout.decode()


def test_json_has_an_object_for_each_discrepancy_and_the_totals_last(tmp_path: Path) -> None:
    path = written(tmp_path / "log.jsonl", make_log(0), *(lying(seed) for seed in range(1, 4)))

    done = tessera("audit", "--json", str(path), draw_key=SECRET)

    *findings, totals = objects(done)
    assert done.returncode == 1
    assert [(one["kind"], one["invariant"], one["query_id"]) for one in findings] == [
        ("wrong_charge", "charges", f"query-{seed}") for seed in range(1, 4)
    ]
    assert (totals["auctions"], totals["discrepancies"], totals["kinds"]) == (4, 3, {"wrong_charge": 3})
    (terms,) = totals["terms"]
    assert (terms["day"], terms["tau_micros_per_nat"], terms["auctions"]) == ("2026-11-23", 1_000, 4)


def test_the_terms_of_each_day_are_shown_however_few_auctions_are_on_them(tmp_path: Path) -> None:
    cheap = make_log(1, tau_micros_per_nat=7)
    path = written(tmp_path / "log.jsonl", make_log(0), cheap, *(make_log(seed) for seed in range(2, 5)))

    done = tessera("audit", str(path), draw_key=SECRET)

    assert done.returncode == 0
    shown = done.stdout.decode()
    assert "2026-11-23, auctions 4: τ 1,000 micros per nat, USD, rule offset, model test@aaaaaaaaaaaa" in shown
    assert "2026-11-23, auctions 1: τ 7 micros per nat, USD" in shown


def test_findings_can_be_limited_and_are_still_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "log.jsonl", *(lying(seed) for seed in range(4)))

    machine = tessera("audit", "--json", "--limit-findings", "1", str(path), draw_key=SECRET)
    people = tessera("audit", "--limit-findings", "1", str(path), draw_key=SECRET)

    finding, totals = objects(machine)
    assert (finding["query_id"], totals["discrepancies"]) == ("query-0", 4)
    assert "and 3 more" in people.stdout.decode()


def test_the_audit_of_a_demo_finds_nothing() -> None:
    done = tessera("audit", "-", given=tessera("demo", "--json", "--limit", "5").stdout)

    assert done.returncode == 0, done.stdout.decode()
    assert "5 auctions: everything is right" in done.stdout.decode()
    assert "auctions/s" not in done.stdout.decode()  # of so few it is the pace of the start


def test_without_the_secret_draws_are_not_verifiable_until_their_key_is_revealed(tmp_path: Path) -> None:
    path = written(tmp_path / "log.jsonl", make_log(0))

    before = objects(tessera("audit", "--json", str(path)))[-1]
    with path.open("ab") as file:
        file.write(lines([committed(reveal=True)])[0])
    after = objects(tessera("audit", "--json", str(path)))[-1]

    draws = [totals["invariants"]["draws"] for totals in (before, after)]  # type: ignore[index]
    assert draws == [
        {"checked": 0, "wrong": 0, "not_verifiable": 1},
        {"checked": 1, "wrong": 0, "not_verifiable": 0},
    ]


def test_other_types_of_event_are_passed_over() -> None:
    events = make_events(0)
    assert len({event.type for event in events}) == len(TOPICS)
    log = make_log(0)
    dead = b'{"specversion":"1.0","id":"x","source":"y","type":"auction.query.submitted.v1.dlq","data_base64":"YQ=="}'
    given = b"\n".join([*lines([make_query(0).data, events[1].data]), b"", dead, *lines(log.payloads())])

    done = tessera("audit", "-", given=given, draw_key=SECRET)

    assert done.returncode == 0, done.stdout.decode()


GOOD = b"\n".join(lines(make_log(0).payloads()))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (b"", "has no event of an auction in it"),
        (b"nonsense\n", "line 1: BAD_JSON"),
        (GOOD[:-40], "line 5: BAD_JSON"),
        (GOOD + b'\n{"specversion":"1.0","type":"auction.query.submitted.v1","data":{"text":"How', "line 6: BAD_JSON"),
        (GOOD + b'\n{"specversion":"1.0","type":"auction.query.submitted.v1","data":{"text":}}', "line 6: BAD_JSON"),
        (GOOD + b'\n{"specversion":"1.0","type":"x.dlq","data_base64":"YQ', "line 6: BAD_JSON"),
        (GOOD.replace(b"reply.settled.v1", b"reply.settled.v2"), "line 3: BAD_HEADERS: the line has type"),
        (GOOD.replace(b'"specversion":"1.0"', b'"specversion":"2.0"'), "line 1: BAD_HEADERS: specversion is '2.0'"),
        (GOOD.replace(b'"payment_rule_version":1', b'"payment_rule_version":2'), "line 4: BAD_SCHEMA"),
        (GOOD.replace(b'"algorithm":"draw-v1"', b'"algorithm":"draw-v3"'), "line 3: BAD_SCHEMA"),
        (GOOD.replace(b'"payment_rule":"offset"', b'"payment_rule":"outcome"'), "line 2: BAD_SCHEMA"),
        (GOOD.replace(b'"charge_micros":', b'"charge_micros":-'), "line 4: BAD_NUMBER"),
    ],
)
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_an_unreadable_log_exits_with_2_and_names_the_line(given: bytes, says: str, option: tuple[str, ...]) -> None:
    done = tessera("audit", "-", *option, given=given)

    assert done.returncode == 2, done.stderr.decode()
    assert done.stderr.decode().startswith("tessera: ")
    assert says in done.stderr.decode()
    assert done.stdout == b""


def test_a_missing_file_exits_with_2() -> None:
    assert tessera("audit", "nowhere.jsonl").returncode == 2


def test_topics_without_an_auction_are_said_to_hold_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was checked, so nothing is "right"."""
    with closing(Findings(None)) as findings:
        print_verdict(Tally(findings.keep), findings, 0.5)

    shown = capsys.readouterr().out
    assert "there is no auction to audit: the topics hold none yet" in shown
    assert "right" not in shown
