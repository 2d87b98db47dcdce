"""`--from`, `--to` and `--state`: what is read, and that a right log is right in each part."""

from collections import Counter
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from schemas.record import Record
from schemas.topics import CHARGED, COMMITMENTS, GENERATED, QUERIES, SCORED, SETTLED
from tests.audit.campaign_log import GOOD, SECRET, broken, of, row, verified, without
from tests.cli.test_commands import refused
from tests.support.forked_command import tessera
from workers.audit.auditor import Audit
from workers.audit.entries import NAMES as AUDITED
from workers.audit.entries import read_record
from workers.audit.findings import Kind, Tally
from workers.audit.log.auction_ids import NAMES
from workers.audit.log.horizon import Horizon
from workers.audit.log.invariants import Report
from workers.cli.audit_period import AuditPeriod, audit_period
from workers.cli.audit_state import read_state
from workers.cli.period import AROUND, WHOLE, StoredInPeriod
from workers.cli.verify_kafka import limited
from workers.receipts.statement import Period
from workers.stream.kafka import KafkaBus

EVERY = timedelta(minutes=20)  # a query
BY_QUERY = "ce_correlationid"


@pytest.fixture
def spread(log: list[Record]) -> list[Record]:
    """The log as if a query had come every twenty minutes, and what became of it had followed within a second."""
    letters = of(log, QUERIES.dead_letters)
    stopped = {int(dict(record.headers)["dlq.offset"] or b"") for record in letters}
    went_on = [record.offset for record in of(log, QUERIES.name) if record.offset not in stopped]
    settled = {dict(one.headers)[BY_QUERY]: went_on[one.offset] for one in of(log, SETTLED.name)}

    def number(record: Record) -> int:
        """Of the query that it is about."""
        said = dict(record.headers)
        if record.topic in (QUERIES.dead_letters, SCORED.dead_letters):
            place = int(said["dlq.offset"] or b"")
            return place if record.topic == QUERIES.dead_letters else went_on[place]
        if record.topic == QUERIES.name:
            return record.offset
        return settled[said[BY_QUERY]] if record.topic == CHARGED.name else went_on[record.offset]

    def at(record: Record) -> datetime:
        if record.topic == COMMITMENTS.name:
            return log[0].time - timedelta(days=1)
        return log[0].time + number(record) * EVERY + timedelta(milliseconds=50 * NAMES.index(record.topic))

    stamped = [replace(record, timestamp_ms=int(at(record).timestamp() * 1_000)) for record in log]
    return sorted(stamped, key=lambda record: record.timestamp_ms)


@dataclass(frozen=True)
class BusOf:
    """A Kafka that holds these records."""

    records: Sequence[Record]

    async def stored_in(
        self, topics: Sequence[str], begin: datetime | None, end: datetime | None, key: Any, whole: Collection[str]
    ) -> AsyncGenerator[Record, None]:
        for record in self.records:
            if record.topic in topics and (begin is None or record.topic in whole or record.time >= begin):
                yield record


async def read(records: Sequence[Record], limits: Period) -> list[Record]:
    source = StoredInPeriod(cast(KafkaBus, BusOf(records)), limits)
    return [record async for record in source.stored(NAMES)]


async def verified_in(records: Sequence[Record], limits: Period) -> Report:
    found = await read(records, limits)
    first = {(topic, 0): min(one.offset for one in of(found, topic)) for topic in NAMES if of(found, topic)}
    begins = {(topic, 0): 0 for topic in NAMES}
    horizon = limited(Horizon(begins=begins), limits, {at: to for at, to in first.items() if at[0] not in WHOLE})
    return verified(
        found, complete=False, **{name: getattr(horizon, name) for name in ("begins", *MOMENTS, "in_flight_from_ms")}
    )


MOMENTS = ("settled_from_ms", "queried_from_ms", "generated_from_ms")


async def test_a_period_is_read_with_an_hour_around_it_and_commitments_whole(spread: list[Record]) -> None:
    begin, end = spread[-1].time - 3 * EVERY, spread[-1].time - EVERY

    found = await read(spread, Period(begin, end))

    times = [record.time for record in found if record.topic != COMMITMENTS.name]
    assert begin - AROUND <= min(times) < begin and end <= max(times) < end + AROUND
    assert of(found, COMMITMENTS.name) == of(spread, COMMITMENTS.name)
    assert await read(spread, Period()) == spread


async def test_a_right_log_is_right_in_each_part_of_it(spread: list[Record]) -> None:
    """Also where a query lies across an end, and where a query id is refused that was used before the period."""
    first, last = spread[len(of(spread, COMMITMENTS.name))].time, spread[-1].time
    at = first - EVERY
    while at < last + EVERY:
        for limits in (Period(at, None), Period(None, at), Period(at, at + 2 * EVERY)):
            for cut in (limits, Period(*(one and one + timedelta(milliseconds=120) for one in _ends(limits)))):
                report = await verified_in(spread, cut)
                assert [(int(one.invariant), one.examples) for one in report.rows() if one.broken] == [], cut
        at += 3 * EVERY / 2


def _ends(limits: Period) -> tuple[datetime | None, datetime | None]:
    return limits.begin, limits.end


async def test_what_is_wrong_within_a_period_is_found(spread: list[Record]) -> None:
    reply = of(spread, SETTLED.name)[4]
    bill = next(one for one in of(spread, CHARGED.name) if dict(one.headers)[BY_QUERY] == reply.key)
    limits = Period(reply.time - EVERY, reply.time + EVERY)

    assert row(await verified_in(without(spread, bill), limits), 1).broken
    assert broken(await verified_in(without(spread, reply), limits))
    assert broken(await verified_in(without(spread, reply), Period(reply.time + 4 * EVERY, None))) == []


def test_a_part_is_no_campaign_and_a_file_is_read_whole(tmp_path: Path) -> None:
    (log := tmp_path / "log.jsonl").write_text("")

    campaign = tessera("verify", "--from", "2026-11-24", "--complete")
    of_file = tessera("explain", "q", "--from", str(log), "--to", "2026-11-24")

    assert campaign.returncode == 2 and b"--complete at all that is stored" in campaign.stderr
    assert of_file.returncode == 2 and b"a file is read whole" in of_file.stderr
    for options in (
        ["--from", "2026-11-23"],
        ["--to", "2026-11-24T08:00:00Z"],
        ["--from", "2026-11-23", "--to", "2026-11-24"],
    ):
        assert "127.0.0.1:1" in refused(tessera("explain", "q", *options, kafka="127.0.0.1:1"))


def audited_in(found: Sequence[Record], asked: AuditPeriod) -> tuple[Tally, int | None]:
    """What an audit says of the records that were read, and since when an auction waits for its reply."""
    with closing(Audit(lambda finding: None, [SECRET], asked.completeness(), credits_first=True)) as audit:
        for record in found:
            if record.topic in AUDITED and (entry := read_record(record)) is not None:
                audit.add(entry)
        waiting_since = audit.scored_since
        return audit.finish(), waiting_since


def within(limits: Period, now: datetime) -> AuditPeriod:
    return audit_period(now.timestamp(), 60.0, limits, None)


async def test_audits_of_parts_add_up_to_the_audit_of_everything(spread: list[Record]) -> None:
    now, end = spread[-1].time + timedelta(hours=2), spread[-1].time + EVERY
    whole, _ = audited_in(spread, within(Period(), now))
    cuts = [None, *(end - number * 2 * EVERY for number in (5, 3, 1)), None]
    parts = []
    for limits in (Period(*pair) for pair in pairwise(cuts)):
        parts.append(audited_in(await read(spread, limits), within(limits, now))[0])

    assert whole.notes["auctions"] == GOOD + 2 == sum(part.notes["auctions"] for part in parts)
    assert all(part.notes["auctions"] < whole.notes["auctions"] for part in parts)
    assert [part.kinds for part in parts] == [Counter()] * len(parts)


async def test_a_lie_is_found_in_its_own_part_only(spread: list[Record]) -> None:
    reply = of(spread, SETTLED.name)[4]
    bill = next(one for one in of(spread, CHARGED.name) if dict(one.headers)[BY_QUERY] == reply.key)
    now, lied = spread[-1].time + timedelta(hours=2), without(spread, bill)

    found = [
        audited_in(await read(lied, limits), within(limits, now))[0].kinds
        for limits in (Period(None, reply.time), Period(reply.time - EVERY / 2, reply.time + EVERY / 2))
    ]

    assert found == [Counter(), Counter({Kind.MISSING_CHARGE: 1})]


async def test_a_run_goes_on_where_the_last_one_ended(spread: list[Record], tmp_path: Path) -> None:
    """Each reads what is new, and the replies of an outage that took hours are replies of auctions that it knows."""
    path, sums, held = tmp_path / "state.json", Counter[str](), spread[0].time
    first = of(spread, SCORED.name)[0].time
    for hours in (1, 2, 3, 30):
        now = first + timedelta(hours=hours)
        late = [one if one.topic in BEFORE_REPLIES else moved(one, timedelta(hours=2)) for one in spread]
        asked = audit_period(now.timestamp(), 60.0, Period(), path)
        source = StoredInPeriod(
            cast(KafkaBus, BusOf([one for one in late if one.time <= now])), asked.limits, asked.state.since
        )
        found = [record async for record in source.stored(NAMES)]
        tally, waiting_since = audited_in(found, asked)
        asked.keep(waiting_since, tally)
        sums.update(tally.kinds)
        held = max(held, read_state(path).until or held)

    state = read_state(path)
    assert (state.runs, state.auctions, state.until) == (4, GOOD + 2, held)
    assert set(sums) <= {Kind.MISSING_TERMINAL}  # as it was then: the replies were hours late


BEFORE_REPLIES = (QUERIES.name, GENERATED.name, SCORED.name, COMMITMENTS.name, QUERIES.dead_letters)


def moved(record: Record, by: timedelta) -> Record:
    return replace(record, timestamp_ms=record.timestamp_ms + int(by.total_seconds() * 1_000))


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2}', '{"format": 1, "until": "x"}', "[1]"])
def test_a_file_that_is_no_state_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)

    line = refused(tessera("audit", "--state", str(path), kafka="127.0.0.1:1"))

    assert str(path) in line and path.read_text() == text


def test_a_run_that_reads_nothing_leaves_no_state(tmp_path: Path) -> None:
    path = tmp_path / "state.json"

    assert "127.0.0.1:1" in refused(tessera("audit", "--state", str(path), kafka="127.0.0.1:1"))
    both = tessera("audit", "--state", str(path), "--from", "2026-11-24")

    assert both.returncode == 2 and b"without --from and --to" in both.stderr
    assert not path.exists()
