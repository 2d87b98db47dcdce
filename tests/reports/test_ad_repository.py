"""What a public repository says of an advertiser, from the events of a few auctions."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.envelope import Event
from schemas.lines import to_line
from tests.receipts.sales import linked
from tests.support.builders import SUBMITTED_AT, make_bidder, make_candidate, make_scored, make_settled
from tests.support.forked_command import tessera
from workers.receipts.lift import lift_of
from workers.reports import ad_repository
from workers.reports.ad_repository import AdRepository

OWN = "advertiser-00"
CANDIDATES = [make_candidate(index, text=text) for index, text in enumerate(("Try Brand00.", "Or brand01!", "None."))]
AUCTIONS = [make_scored(seed, candidates=CANDIDATES) for seed in range(4)]


def at_hour(hour: int, *events: Event[Any]) -> list[Event[Any]]:
    return [replace(event, recorded_at=SUBMITTED_AT + timedelta(hours=hour)) for event in events]


EVENTS = [at_hour(hour, scored, make_settled(scored)[0]) for hour, scored in enumerate(AUCTIONS)]


def repository() -> AdRepository:
    report = AdRepository()
    for scored, reply in EVENTS:
        report.add_auction(scored)
        report.add_reply(reply)
    return report


def test_an_entry_says_who_what_when_how_often_and_how_much_the_bid_moved() -> None:
    row = next(row for row in repository().rows() if row["advertiser_id"] == OWN)
    replies = [reply.data for _, reply in EVENTS]
    own = [next(one for one in reply.sponsors if one.advertiser_id == OWN) for reply in replies]
    lifts = [lift_of(scored.data, OWN) for scored, _ in EVENTS]

    assert (row["on_behalf_of"], row["paid_by"], row["replies"]) == ("Brand00", [OWN], 4)
    assert row["contents"] == [{"text": "selling organic seeds", "auctions": 4}]
    assert row["first_presented_at"] == SUBMITTED_AT.isoformat()
    assert row["last_presented_at"] == (SUBMITTED_AT + timedelta(hours=3)).isoformat()
    assert row["replies_naming_it"] == sum("Brand00" in reply.reply for reply in replies)
    assert row["mean_probability_of_reply_with_bid"] == pytest.approx(sum(one.probability_with for one in own) / 4)
    assert row["mean_probability_of_being_named_without_bid"] == pytest.approx(
        sum(lift.named_without for lift in lifts if lift) / 4
    )
    assert not any("micros" in name for name in row)


def test_of_a_party_the_member_that_carries_the_charges_is_named_as_who_paid() -> None:
    report = AdRepository()
    report.add_auction(make_scored(5, advertisers=linked(("a", "a", None))))

    assert {row["advertiser_id"]: row["paid_by"] for row in report.rows()} == {
        OWN: [OWN],
        "advertiser-01": [OWN],
        "advertiser-02": ["advertiser-02"],
    }


def test_descriptions_of_one_advertiser_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ad_repository, "MOST_CONTENTS", 2)
    report = AdRepository()
    for seed in range(5):
        report.add_auction(make_scored(seed, advertisers=[make_bidder(0, description=f"selling {seed}")]))

    (row,) = report.rows()
    assert (len(row["contents"]), row["contents_left_out"]) == (2, 3)


def test_the_command_writes_a_line_for_each_advertiser_and_replies_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n".join(to_line(event) for events in EVENTS for event in events) + b"\n")
    done = tessera("repository", "export", "--log", str(path), "--replies", "--to", "2026-11-23T14:30:00Z")

    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["reply"] for line in lines[:-2]] == [reply.data.reply for _, reply in EVENTS[:3]]
    assert [(line["advertiser_id"], line["replies"]) for line in lines[-2:]] == [(OWN, 3), ("advertiser-01", 3)]
