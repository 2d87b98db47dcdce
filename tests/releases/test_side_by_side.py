"""The last release beside this one, as in a rolling upgrade: each reads what the other writes, and bills are the same.

`cc146cd.zip` holds the last release's schemas, settlement, scoring and audit as they were:
`git archive --format=zip -9 -o tests/releases/cc146cd.zip cc146cd` with their files.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.auction import CandidatesGenerated, CandidatesScored
from schemas.envelope import Event
from schemas.lines import read_event, to_line
from schemas.reasons import VoidReason
from schemas.topics import BY_NAME, CHARGED, SCORED, SETTLED
from tests.releases.old_release import SECRET
from tests.support.builders import SUBMITTED_AT, envelop, make_bidder, make_generated, make_scored
from tests.support.fakes import drawn_by
from workers.audit.auditor import Audit
from workers.audit.entries import read_line
from workers.draw_keys import commitment
from workers.engines.null import NullEngine
from workers.mechanism.epochs import epoch_key
from workers.settlement import settle_event

HERE = Path(__file__).parent
LIMIT_S = 120
EPOCH = "2026-11-23"
TO_THE_MICRO = ("charge_id", "charge_micros", "bound_micros", "scored_sha256", "advertiser_id", "currency")
SAME_REPLY = ("reply", "outcome", "void_reason", "chosen_index", "charge_ids", "total_charge_micros", "disclosure")

AUCTIONS: list[Event[CandidatesScored]] = [
    make_scored(1, candidates=6, advertisers=3),
    make_scored(2, deadline_stated=False),
    make_scored(3, advertisers=()),
    make_scored(4, void_reason=VoidReason.ALL_ABSTAINED, rewards_micros={}, log_ref=()),
    make_scored(5, advertisers=(make_bidder(0, link_group="one"), make_bidder(1, link_group="one"), make_bidder(2))),
]


def old(command: str, lines: Iterable[bytes], folder: Path) -> list[bytes]:
    """What the last release prints."""
    (folder / "lines.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    program = [sys.executable, str(HERE / "old_release.py"), command, str(folder / "lines.jsonl")]
    environment = {**os.environ, "PYTHONPATH": str(HERE / "cc146cd.zip"), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(program, env=environment, cwd=folder, capture_output=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.splitlines()


def taken_by_the_broker(event: Event[Any]) -> Event[Any]:
    return replace(event, recorded_at=SUBMITTED_AT)


def settled_by_this(scored: Iterable[Event[CandidatesScored]]) -> list[bytes]:
    key = epoch_key(SECRET, EPOCH)
    return [to_line(event) for one in scored for event in settle_event(one, key)]


def events(lines: Iterable[bytes], name: str) -> list[Event[Any]]:
    found = [read_event(line, BY_NAME[name]) for line in lines]
    return [event for event in found if event is not None]


def assert_same_outcome(these: Iterable[bytes], those: Iterable[bytes]) -> None:
    for name, fields in ((SETTLED.name, SAME_REPLY), (CHARGED.name, TO_THE_MICRO)):
        pairs = list(zip(events(these, name), events(those, name), strict=True))
        assert pairs
        for one, other in pairs:
            assert one.id == other.id
            for field in fields:
                assert getattr(one.data, field) == getattr(other.data, field), field


def test_the_last_releases_settlement_bills_this_releases_auctions_alike(tmp_path: Path) -> None:
    scored = [taken_by_the_broker(event) for event in AUCTIONS]

    assert_same_outcome(old("settle", map(to_line, scored), tmp_path), settled_by_this(scored))


def generated(seed: int, **changes: Any) -> Event[CandidatesGenerated]:
    return make_generated(seed, engine=drawn_by(NullEngine()), **changes)


def test_this_releases_settlement_bills_the_last_releases_auctions_alike(tmp_path: Path) -> None:
    """The last release scores this one's candidates, and drops the fields that it does not know."""
    lines = old("score", [to_line(generated(1)), to_line(generated(2, deadline_stated=False))], tmp_path)
    scored = [taken_by_the_broker(event) for event in events(lines, SCORED.name)]

    assert [event.data.deadline_stated for event in scored] == [None, None]
    assert_same_outcome(_settled_on_its_day(scored), old("settle", lines, tmp_path))


def _settled_on_its_day(scored: Iterable[Event[CandidatesScored]]) -> list[bytes]:
    return [to_line(event) for one in scored for event in settle_event(one, epoch_key(SECRET, one.data.draw_epoch))]


def test_an_auction_of_the_last_release_is_never_late(tmp_path: Path) -> None:
    """It did not say who stated the deadline: what it left in the topics is settled as it would have been."""
    past = generated(1, deadline=SUBMITTED_AT - timedelta(days=1), deadline_stated=None)
    lines = old("score", [to_line(past)], tmp_path)

    (scored,) = (replace(event, recorded_at=SUBMITTED_AT) for event in events(lines, SCORED.name))

    assert scored.data.deadline_stated is None
    assert {event.data.void_reason for event in events(_settled_on_its_day([scored]), SETTLED.name)} <= {
        None,
        VoidReason.DEADLINE_PASSED,
    }


@pytest.mark.parametrize("settled_by", ["this release", "the last one"])
def test_each_audit_finds_the_others_settlement_right(settled_by: str, tmp_path: Path) -> None:
    scored = [taken_by_the_broker(event) for event in AUCTIONS]
    lines = [to_line(envelop(commitment(epoch_key(SECRET, EPOCH), SUBMITTED_AT).data)), *map(to_line, scored)]

    if settled_by == "this release":
        assert old("audit", [*lines, *settled_by_this(scored)], tmp_path) == []
        return
    audit = Audit(lambda finding: pytest.fail(finding.sentence), [SECRET])
    for number, line in enumerate([*lines, *old("settle", lines, tmp_path)], 1):
        if (entry := read_line(line, number)) is not None:
            audit.add(entry)
    assert audit.finish().discrepancies == 0


def test_an_older_reader_stops_at_a_newer_value_that_decides_so_readers_are_upgraded_first(tmp_path: Path) -> None:
    """infra/upgrading.md: the last release bills what this one knows to be late."""
    late = replace(make_scored(1, deadline=SUBMITTED_AT, deadline_stated=True), recorded_at=SUBMITTED_AT + timedelta(1))

    (by_the_last,) = events(old("settle", [to_line(late)], tmp_path), SETTLED.name)
    (by_this,) = events(settled_by_this([late]), SETTLED.name)

    assert (by_the_last.data.outcome, by_this.data.void_reason) == ("sold", VoidReason.LATE)
