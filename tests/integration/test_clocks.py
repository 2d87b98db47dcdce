"""Clocks that are apart are said: this machine's and the brokers', and a worker's and the brokers'."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from schemas.record import Outgoing
from schemas.topics import GENERATED
from tests.support.builders import make_query
from tests.support.kafka_client import produce
from tests.support.strict_broker import StrictBroker
from workers.doctor.kafka import inspect_kafka
from workers.doctor.verdict import State, Verdict
from workers.pipeline import STAGES
from workers.settings import Settings
from workers.stream.connection import clocks
from workers.stream.connection.clients import Clients
from workers.stream.connection.clocks import ahead_s
from workers.stream.connection.preflight import preflight
from workers.stream.partition import producer
from workers.stream.partition.producer import TransactionalWriter

AHEAD_S = 60.0


class ClockAhead:
    """The module `time` of a machine whose clock is a minute ahead."""

    @staticmethod
    def time() -> float:
        return time.time() + AHEAD_S


def doctor(kafka: str) -> dict[str, Verdict]:
    return {found.check: found for found in asyncio.run(inspect_kafka(Settings.read(bootstrap_servers=kafka)))}


@pytest.mark.parametrize(
    ("asked_s", "shown_ms", "answered_s", "ahead"),
    [
        (100.0, 100_500, 101.0, 0.0),  # between: they may agree
        (160.0, 100_000, 161.0, 60.0),
        (40.0, 100_000, 41.0, -59.0),  # the answer may have taken all of that second
        (100.0, 99_000, 109.0, 1.0),  # a slow answer makes no clock wrong
    ],
)
def test_clock_skew_is_reported_only_where_it_exceeds_the_round_trip(
    asked_s: float, shown_ms: int, answered_s: float, ahead: float
) -> None:
    assert ahead_s(asked_s, shown_ms, answered_s) == pytest.approx(ahead)


@pytest.mark.kafka
def test_a_machine_whose_clock_is_wrong_is_told_at_the_start_and_by_doctor(
    strict: StrictBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = strict.bootstrap_servers
    settings = Settings.read(bootstrap_servers=kafka)
    assert asyncio.run(preflight([STAGES["generation"]], settings)) == ()
    assert doctor(kafka)["clock"].state is State.OK

    monkeypatch.setattr(clocks, "time", ClockAhead)

    (warning,) = asyncio.run(preflight([STAGES["generation"]], settings))
    found = doctor(kafka)["clock"]
    assert found.state is State.WARNING
    for said in (warning, f"{found.said}; {found.advice}"):
        assert "this machine's clock is" in said and "s ahead of the brokers'" in said and "NTP" in said
    assert float(warning.split()[4]) == pytest.approx(AHEAD_S, abs=5.0)


@pytest.mark.kafka
def test_a_worker_whose_clock_is_ahead_is_seen_in_its_records(strict: StrictBroker) -> None:
    kafka = strict.bootstrap_servers
    clock = datetime.now(UTC)
    produce(kafka, [(b"query", b"{}", [("ce_time", clock.isoformat().encode())])], GENERATED.name)
    assert doctor(kafka)["workers' clocks"].state is State.OK

    clock += timedelta(seconds=AHEAD_S)
    produce(kafka, [(b"query", b"{}", [("ce_time", clock.isoformat().encode())])], GENERATED.name)

    found = doctor(kafka)["workers' clocks"]
    assert found.state is State.WARNING and "generation by" in found.said and "void before" in found.advice


@pytest.mark.kafka
async def test_a_worker_that_may_not_ask_learns_of_its_clock_from_the_first_record_it_writes(
    topics: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clients = Clients(Settings.read(bootstrap_servers=topics))
    record = make_query(1).to_record()
    monkeypatch.setattr(clocks, "_told", set())

    await _write_and_abort(clients, record)
    assert "clock" not in caplog.text

    monkeypatch.setattr(producer, "time", ClockAhead)
    monkeypatch.setattr(clocks, "time", ClockAhead)
    await _write_and_abort(clients, record)
    await _write_and_abort(clients, record)
    assert caplog.text.count("s ahead of the brokers'. Deadlines") == 1


async def _write_and_abort(clients: Clients, record: Outgoing) -> None:
    """One record in a transaction that nobody reads: a successor with the same id ends it."""
    writing = TransactionalWriter(clients, "tests.clock")
    await writing.start()
    await writing.begin()
    await writing.send([record])
    await writing.discard()
    successor = TransactionalWriter(clients, "tests.clock")
    await successor.start()
    await successor.discard()
