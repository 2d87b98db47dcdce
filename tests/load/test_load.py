"""`tessera load`: what is sent and when, and that neither a slow pipeline nor a slow sender can hide in the report."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import numpy as np
import pytest
from click.testing import CliRunner

from schemas.payload import BadRecord
from schemas.query import QuerySubmitted
from schemas.record import Record
from schemas.topics import QUERIES
from workers.cli import cli
from workers.cli.load_view import picture
from workers.cli.query_file import load_queries
from workers.errors import AccessDenied, BrokerError
from workers.load.open_loop import UNANSWERED, Trip, Trips, measure
from workers.load.report import Offer, percentiles, report
from workers.load.traffic import POISON, Arrival, ArrivalKind, Mix, arrivals, record_of
from workers.web.load_report.page import page

MIXED = Mix(deadlines=0.2, duplicates=0.1, poison=0.1, deadline_s=5)
NOW = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)


def due(*seconds: float) -> list[Arrival]:
    return [Arrival(due_s, ArrivalKind.QUERY, f"query-{number}", number) for number, due_s in enumerate(seconds)]


def refused(query_id: str) -> Record:
    return Record(QUERIES.dead_letters, query_id.encode(), b"", (("dlq.version", b"1"), ("dlq.reason", b"BAD_JSON")))


async def nothing() -> AsyncIterator[Record]:
    await asyncio.Event().wait()
    yield refused("never")


def test_arrivals_are_a_poisson_process_and_the_mix_is_the_one_asked_for() -> None:
    plan = arrivals(500, 100, MIXED, "run", seed=1)

    gaps = np.diff([arrival.due_s for arrival in plan])
    assert len(plan) == pytest.approx(50_000, rel=0.02)
    assert gaps.min() >= 0
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.02)  # of an exponential distribution
    shares = Counter(arrival.kind for arrival in plan)
    for kind, share in zip(ArrivalKind, MIXED.shares, strict=True):
        assert shares[kind] / len(plan) == pytest.approx(share, abs=0.01)
    assert arrivals(500, 100, MIXED, "run", seed=1) == plan != arrivals(500, 100, MIXED, "run", seed=2)


def test_a_duplicate_has_the_id_of_one_query_that_was_sent_before() -> None:
    plan = arrivals(100, 20, MIXED, "run", seed=3)

    ids = Counter(arrival.query_id for arrival in plan)
    seen = set()
    for arrival in plan:
        if arrival.kind is ArrivalKind.DUPLICATE:
            assert arrival.query_id in seen
        elif arrival.kind is ArrivalKind.QUERY:
            seen.add(arrival.query_id)
    assert max(ids.values()) == 2


def test_records_are_what_their_kind_says() -> None:
    asked = load_queries(None)

    for arrival in arrivals(100, 5, MIXED, "run", seed=4):
        record = record_of(arrival, asked, NOW, MIXED)
        assert record.key == arrival.query_id.encode()
        if arrival.kind is ArrivalKind.POISON:
            with pytest.raises(BadRecord):
                QuerySubmitted.decode(record.value)
            continue
        query = QuerySubmitted.decode(record.value)
        assert (query.query_id, query.advertising_consent) == (arrival.query_id, True)
        assert (query.deadline is not None) == (arrival.kind is ArrivalKind.DEADLINE)
    assert len(POISON) == 3


async def test_nothing_waits_for_an_acknowledgement_or_for_an_answer() -> None:
    # Given a Kafka that acknowledges nothing, and answers nothing, before it has all records
    written, all_written = 0, asyncio.Event()

    async def write(arrival: Arrival) -> None:
        nonlocal written
        written += 1
        if written == 50:
            all_written.set()
        await all_written.wait()

    async def answers() -> AsyncIterator[Record]:
        await all_written.wait()
        for number in range(50):
            yield refused(f"query-{number}")

    # When it is loaded
    trips = Trips(due(*(number / 1000 for number in range(50))), asyncio.get_running_loop().time)
    async with asyncio.timeout(30):
        await measure(trips, write, answers(), patience_s=30)

    # Then all is sent, and answered
    assert {trip.outcome for trip in trips.all} == {"refused BAD_JSON"}


def test_a_query_s_time_begins_when_it_was_due_also_where_it_was_sent_late() -> None:
    late, punctual = (Trip(arrival) for arrival in due(1.0, 2.0))
    late.sent_s, late.answered_s, late.outcome = 6.0, 7.0, "sold"
    punctual.sent_s, punctual.answered_s, punctual.outcome = 2.0, 2.5, "sold"

    (found,) = report(Offer(1, 2, Mix(), 0), [late, punctual]).kinds

    assert (found.from_due_ms["p50"], found.from_due_ms["p100"]) == (500, 6_000)
    assert (found.from_sent_ms["p50"], found.from_sent_ms["p100"]) == (500, 1_000)


def test_percentiles_are_exact_and_what_is_not_answered_is_slowest() -> None:
    samples = [float(number) for number in np.random.default_rng(5).permutation(1000)]

    found = percentiles(samples)
    by_hand = {"p50": 499, "p75": 749, "p90": 899, "p95": 949, "p99": 989, "p99.9": 998, "p100": 999}
    assert found == by_hand
    assert percentiles([1.0, math.inf, 2.0, 3.0]) == {**dict.fromkeys(found, None), "p50": 2.0, "p75": 3.0}


async def test_what_has_no_answer_is_reported_as_such() -> None:
    async def write(arrival: Arrival) -> None:
        raise BrokerError("no broker answers")

    trips = Trips(due(0.0, 0.0), asyncio.get_running_loop().time)
    await measure(trips, write, nothing(), patience_s=0.01)

    found = report(Offer(1, 1, Mix(), 0), trips.all)
    assert found.kinds[0].outcomes == {UNANSWERED: 2}
    assert (found.unanswered, found.not_taken, found.first_error) == (2, 2, "no broker answers")
    assert "2 of 2 had no answer" in page(found, picture(found))


async def test_a_refusal_of_the_user_ends_the_test_at_once() -> None:
    async def write(arrival: Arrival) -> None:
        raise AccessDenied("no right to write")

    trips = Trips(due(0.0, 3_600.0), asyncio.get_running_loop().time)
    with pytest.raises(AccessDenied, match="no right"):
        async with asyncio.timeout(30):
            await measure(trips, write, nothing(), patience_s=30)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--poison", "0.6", "--duplicates", "0.6"], "together at most 1"),
        (["--rate", "100000", "--duration", "3600"], "at most 1,000,000"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is(options: list[str], said: str) -> None:
    told = CliRunner().invoke(cli, ["load", *options])

    assert told.exit_code == 2 and said in told.output
