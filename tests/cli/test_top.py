"""`tessera top`: two looks at workers' metrics, and what lies between them."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from prometheus_client import generate_latest

from schemas.reasons import DeadLetterReason
from tests.support.builders import make_scored, make_settled
from workers.cli import cli
from workers.operations.health import Health, MonitoringServer
from workers.operations.metrics import Metrics
from workers.operations.monitor import Monitor
from workers.operations.overview import Overview, Scrape

STAGES = ("generation", "settlement")


def monitor() -> Monitor:
    return Monitor(stages=STAGES, currency="USD", engine="none")


def scrape(*of: Metrics) -> Scrape:
    return Scrape([generate_latest(one.registry).decode() for one in of])


SETTLED, CHARGES = make_settled(make_scored())
BILLED_MICROS = sum(charge.data.charge_micros for charge in CHARGES)


def test_an_overview_is_what_happened_between_two_scrapes() -> None:
    one, other = monitor(), monitor()
    one.committed([SETTLED] * 3)
    before = scrape(one, other)
    one.committed([SETTLED, *CHARGES])
    other.committed([SETTLED])
    other.handled("generation", 0.5)
    other.transaction("settlement", "committed", 0.1, 2)
    one.in_flight("generation", 2)
    other.in_flight("generation", 3)
    one.lag("generation", 30, 4.0)
    other.lag("generation", 12, 45.0)

    found = Overview.between(before, scrape(one, other), 2.0)

    assert sum(found.queries_hz.values()) == 1.0
    assert BILLED_MICROS > 0
    assert found.revenue_micros_per_minute == {"USD": 30.0 * BILLED_MICROS}
    rows = {row.stage: row for row in found.stages}
    assert (rows["generation"].in_flight, rows["generation"].handled_hz, rows["generation"].duration_s) == (5, 0.5, 0.5)
    assert (rows["generation"].lag_records, rows["generation"].lag_s) == (42, 45.0)
    assert (rows["settlement"].commits_hz, rows["settlement"].duration_s) == (0.5, None)


def test_what_looks_wrong_is_said() -> None:
    before, worker = scrape(monitor()), monitor()
    worker.in_flight("settlement", 7)
    worker.engine_down("generation", is_down=True)
    worker.refused("generation", DeadLetterReason.BAD_JSON)
    worker.loop_lag(2.0)

    assert Overview.between(before, scrape(worker), 5.0).trouble == [
        "generation: the engine is down, records wait",
        "generation: 1 dead letters within 5 s",
        "settlement: 7 records in work, none committed within 5 s",
        "an event loop runs 2.0 s late",
    ]


def test_a_pipeline_at_rest_has_no_latency_and_no_trouble() -> None:
    found = Overview.between(scrape(monitor()), scrape(monitor()), 1.0)

    assert found.latency_s == {"p50": None, "p95": None}
    assert found.trouble == []


def test_a_latency_beyond_all_buckets_is_text_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = monitor()  # the auction was asked for long ago
    before = scrape(worker)
    worker.committed([SETTLED])
    found = Overview.between(before, scrape(worker), 1.0)
    monkeypatch.setattr("workers.cli.top._looks", lambda *_: iter([(found, [])]))

    told = CliRunner().invoke(cli, ["top", "--once", "--json"])

    assert json.loads(told.output)["latency_s"] == {"p50": "+Inf", "p95": "+Inf"}


@pytest.fixture
def address() -> Iterator[str]:
    with MonitoringServer(monitor(), Health(), host="127.0.0.1", port=0) as server:
        yield f"http://127.0.0.1:{server.port}/metrics"


def test_one_look_at_a_worker_is_a_table_or_one_object(address: str) -> None:
    options = ["top", "--metrics", address, "--once", "--every", "0.2"]

    shown, told = (CliRunner().invoke(cli, [*options, *more]) for more in ([], ["--json"]))

    assert shown.exit_code == told.exit_code == 0, shown.output
    assert "settlement" in shown.output
    assert [row["stage"] for row in json.loads(told.output)["stages"]] == list(STAGES)


def test_a_worker_that_does_not_answer_is_named_beside_those_that_do(address: str) -> None:
    options = ["top", "--metrics", address, "--metrics", "http://127.0.0.1:1/metrics", "--once", "--every", "0.2"]

    told = CliRunner().invoke(cli, [*options, "--json"])

    assert [one.split(": ")[0] for one in json.loads(told.output)["silent"]] == ["http://127.0.0.1:1/metrics"]


@pytest.mark.parametrize("wrong", ["http://127.0.0.1:1/metrics", "nonsense", "http://[::1"])
def test_without_any_worker_it_says_where_metrics_are(wrong: str) -> None:
    told = CliRunner().invoke(cli, ["top", "--metrics", wrong, "--once"])

    assert "TESSERA_METRICS_PORT" in str(told.exception)


def test_a_server_that_is_no_worker_is_not_added_up(address: str) -> None:
    told = CliRunner().invoke(cli, ["top", "--metrics", address.replace("/metrics", "/livez"), "--once"])

    assert told.exit_code != 0
