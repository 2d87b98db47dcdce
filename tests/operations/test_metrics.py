"""Metrics follow committed events; /metrics, /livez and /readyz answer on one port and say why not."""

import asyncio
import json
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from schemas.reasons import AbstentionReason, DeadLetterReason, RepeatReason, VoidReason
from tests.support.committed_events import (
    SUBMITTED_AT,
    abstention,
    charged,
    generated,
    measured,
    not_sold,
    scored,
    sold,
)
from tests.support.prometheus_server import get, poll
from workers.errors import SettingsError
from workers.operations.health import Health, MonitoringServer, keep_beating
from workers.operations.metrics import LATENCY_BUCKETS_S, OUTCOMES, Metrics
from workers.operations.monitor import Monitor
from workers.pipeline import STAGES
from workers.stream.bus import Observer

AFTER_S = 0.75


def make_metrics() -> Metrics:
    return Metrics(
        stages=tuple(STAGES), currency="USD", engine="null", clock=lambda: SUBMITTED_AT + timedelta(seconds=AFTER_S)
    )


@pytest.fixture
def metrics() -> Metrics:
    return make_metrics()


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    value: float | None = metrics.registry.get_sample_value(name, labels)
    return value


# Committed events


def test_revenue_is_the_sum_of_the_committed_charges(metrics: Metrics) -> None:
    bills = [charged("query-1", f"advertiser-{n}", charge_micros=1_234_567 * n) for n in range(5)]

    metrics.committed(bills)

    assert sample(metrics, "auction_revenue_micros_total", currency="USD") == 1_234_567 * (0 + 1 + 2 + 3 + 4)
    assert sample(metrics, "auction_charge_micros_count") == 5
    assert sample(metrics, "auction_charge_micros_bucket", le="0.0") == 1  # the zero charge is one of them


def test_the_incentive_gap_of_every_bidder_is_counted_and_one_that_pays_stands_out(metrics: Metrics) -> None:
    metrics.committed([measured("query-1", -3.0, 2e-9), measured("query-2", 1.5)])

    buckets = {
        le: sample(metrics, "auction_incentive_gap_micros_bucket", le=le) for le in ("-1.0", "0.0", "1.0", "10.0")
    }
    assert buckets == {"-1.0": 1, "0.0": 1, "1.0": 2, "10.0": 3}


def test_revenue_is_exact_up_to_nine_thousand_million_units(metrics: Metrics) -> None:
    metrics.committed([charged("query-1", charge_micros=10**15), charged("query-2", charge_micros=1)])

    assert sample(metrics, "auction_revenue_micros_total", currency="USD") == 10**15 + 1


def test_each_currency_has_its_own_revenue(metrics: Metrics) -> None:
    metrics.committed([charged("query-1", charge_micros=7, currency="EUR"), charged("query-2", charge_micros=5)])

    assert sample(metrics, "auction_revenue_micros_total", currency="EUR") == 7
    assert sample(metrics, "auction_revenue_micros_total", currency="USD") == 5


def test_a_sold_reply_counts_its_outcome_latency_and_sample_size(metrics: Metrics) -> None:
    metrics.committed([sold(effective_sample_size=1.0, candidates=4)])

    assert sample(metrics, "auction_queries_total", outcome="sold") == 1
    assert sample(metrics, "auction_reply_latency_seconds_sum") == pytest.approx(AFTER_S)
    assert sample(metrics, "auction_effective_sample_ratio_sum") == 0.25


def test_a_reply_that_was_not_sold_has_no_effective_sample_ratio(metrics: Metrics) -> None:
    metrics.committed([not_sold("query-1"), not_sold("query-2", void_reason=VoidReason.DEADLINE_PASSED)])

    assert sample(metrics, "auction_queries_total", outcome="no_advertisers") == 1
    assert sample(metrics, "auction_queries_total", outcome="void") == 1
    assert sample(metrics, "auction_voids_total", reason="DEADLINE_PASSED") == 1
    assert sample(metrics, "auction_reply_latency_seconds_count") == 2
    assert sample(metrics, "auction_effective_sample_ratio_count") == 0


def test_each_abstention_counts_once_by_its_reason(metrics: Metrics) -> None:
    absent = (abstention(AbstentionReason.NO_CONSENT, "seeds"), abstention(AbstentionReason.NO_CONSENT, "soil"))

    metrics.committed([not_sold(abstentions=absent)])

    assert sample(metrics, "auction_abstentions_total", reason="NO_CONSENT") == 2


def test_candidates_count_when_generated_and_not_again_when_scored(metrics: Metrics) -> None:
    metrics.committed([generated(candidates=3), scored(candidates=3)])

    assert sample(metrics, "auction_candidates_count") == 1
    assert sample(metrics, "auction_candidates_sum") == 3


def test_latency_counts_from_when_the_broker_took_the_query(metrics: Metrics) -> None:
    """A producer's clock of 1970 would look like a reply that took decades, and wake somebody."""
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)

    metrics.committed([not_sold(submitted_at=long_ago, received_at=SUBMITTED_AT)])

    assert sample(metrics, "auction_reply_latency_seconds_sum") == pytest.approx(AFTER_S)


def test_a_clock_behind_the_producers_gives_no_negative_latency() -> None:
    metrics = Metrics(stages=(), currency="USD", engine="null", clock=lambda: SUBMITTED_AT - timedelta(hours=1))

    metrics.committed([not_sold()])

    assert sample(metrics, "auction_reply_latency_seconds_sum") == 0


# The other verbs


def test_a_query_refused_by_generation_is_a_query_with_an_outcome(metrics: Metrics) -> None:
    metrics.refused("generation", DeadLetterReason.EXPIRED)

    assert sample(metrics, "auction_dead_letters_total", stage="generation", reason="EXPIRED") == 1
    assert sample(metrics, "auction_queries_total", outcome="refused") == 1


def test_a_record_refused_later_ends_its_query_too(metrics: Metrics) -> None:
    metrics.refused("scoring", DeadLetterReason.BAD_JSON)

    assert sample(metrics, "auction_dead_letters_total", stage="scoring", reason="BAD_JSON") == 1
    assert sample(metrics, "auction_queries_total", outcome="refused") == 1


def test_an_auction_that_comes_again_ends_no_query(metrics: Metrics) -> None:
    metrics.repeated("settlement", RepeatReason.SAME_EVENT)
    metrics.repeated("settlement", RepeatReason.SCORED_AGAIN)

    repeats = [sample(metrics, "auction_repeated_total", stage="settlement", reason=r.name) for r in RepeatReason]
    assert repeats == [1, 1]
    assert sample(metrics, "auction_dead_letters_total", stage="settlement", reason="DUPLICATE_QUERY") == 1
    assert sample(metrics, "auction_queries_total", outcome="refused") == 0


def test_each_pipeline_observation_moves_its_own_metric(metrics: Metrics) -> None:
    metrics.handled("scoring", 0.2)
    metrics.transaction("settlement", "committed", 0.05, 64)
    metrics.in_flight("generation", 8)
    metrics.rebalanced("scoring")
    metrics.producer_reopened("settlement")
    metrics.loop_lag(0.002)

    assert sample(metrics, "auction_stage_duration_seconds_sum", stage="scoring") == pytest.approx(0.2)
    assert sample(metrics, "auction_transactions_total", stage="settlement", result="committed") == 1
    assert sample(metrics, "auction_transaction_duration_seconds_sum", stage="settlement") == pytest.approx(0.05)
    assert sample(metrics, "auction_transaction_auctions_sum", stage="settlement") == 64
    assert sample(metrics, "auction_in_flight", stage="generation") == 8
    assert sample(metrics, "auction_rebalances_total", stage="scoring") == 1
    assert sample(metrics, "auction_producer_fenced_total", stage="settlement") == 1
    assert sample(metrics, "auction_event_loop_lag_seconds") == 0.002


# Series


def test_label_sets_known_beforehand_start_at_zero(metrics: Metrics) -> None:
    zero = [sample(metrics, "auction_queries_total", outcome=outcome) for outcome in OUTCOMES]
    zero += [sample(metrics, "auction_abstentions_total", reason=reason.name) for reason in AbstentionReason]
    zero += [sample(metrics, "auction_voids_total", reason=reason.name) for reason in VoidReason]
    zero.append(sample(metrics, "auction_revenue_micros_total", currency="USD"))
    for stage in STAGES:
        for reason in DeadLetterReason:
            zero.append(sample(metrics, "auction_dead_letters_total", stage=stage, reason=reason.name))
        for repeat in RepeatReason:
            zero.append(sample(metrics, "auction_repeated_total", stage=stage, reason=repeat.name))
        for result in ("committed", "aborted"):
            zero.append(sample(metrics, "auction_transactions_total", stage=stage, result=result))
        zero.append(sample(metrics, "auction_stage_duration_seconds_count", stage=stage))
        zero.append(sample(metrics, "auction_in_flight", stage=stage))

    assert set(OUTCOMES) == {"sold", "no_advertisers", "void", "refused"}
    assert zero == [0] * len(zero)


def test_events_add_no_metric_series_and_no_label_is_an_id(metrics: Metrics) -> None:
    before = series_of(metrics)

    for number in range(50):
        query_id = f"query-{number}"
        metrics.committed([generated(query_id), sold(query_id), charged(query_id, f"advertiser-{number}")])

    assert series_of(metrics) == before
    assert {label for _, labels in before for label in re.findall(r"(\w+)=", labels)} <= {
        *("outcome", "stage", "reason", "currency", "result", "version", "engine", "le")
    }


def series_of(metrics: Metrics) -> set[tuple[str, str]]:
    return {
        (one.name, ",".join(f'{name}="{value}"' for name, value in sorted(one.labels.items())))
        for family in metrics.registry.collect()
        for one in family.samples
    }


def test_latency_buckets_reach_from_10_ms_to_2_minutes(metrics: Metrics) -> None:
    edges = {labels for name, labels in series_of(metrics) if name == "auction_reply_latency_seconds_bucket"}

    assert LATENCY_BUCKETS_S == (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)
    assert edges == {f'le="{float(edge)}"' for edge in LATENCY_BUCKETS_S} | {'le="+Inf"'}


def test_two_processes_do_not_share_a_registry() -> None:
    first, second = make_metrics(), make_metrics()

    first.committed([charged(charge_micros=5)])

    assert sample(second, "auction_revenue_micros_total", currency="USD") == 0


# Probes


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(("engine", "partitions"), clock=clock)


@pytest.fixture
def server(metrics: Metrics, health: Health) -> Iterator[MonitoringServer]:
    with MonitoringServer(metrics, health, host="127.0.0.1", port=0) as running:
        yield running


def ask(server: MonitoringServer, path: str) -> tuple[int, str]:
    return get(f"http://127.0.0.1:{server.port}{path}")


def test_metrics_are_served_as_text(server: MonitoringServer, metrics: Metrics) -> None:
    metrics.committed([charged(charge_micros=1_500)])

    status, text = ask(server, "/metrics")

    assert status == 200
    assert 'auction_revenue_micros_total{currency="USD"} 1500.0' in text
    assert re.search(r'^auction_build_info\{engine="null",version="[^"]+"\} 1\.0$', text, re.MULTILINE)


def test_not_ready_until_every_part_is_and_says_which(server: MonitoringServer, health: Health) -> None:
    health.ready("engine", True)
    status, text = ask(server, "/readyz")
    assert (status, json.loads(text)) == (503, {"status": "failing", "reasons": ["partitions is not ready"]})

    health.ready("partitions", True)
    status, text = ask(server, "/readyz")
    assert (status, json.loads(text)) == (200, {"status": "ok"})


def test_draining_is_not_ready_but_alive(server: MonitoringServer, health: Health) -> None:
    health.ready("engine", True)
    health.ready("partitions", True)

    health.draining()

    status, text = ask(server, "/readyz")
    assert status == 503 and "draining" in text
    assert ask(server, "/livez")[0] == 200


def test_partitions_taken_back_make_a_worker_not_ready_but_alive(server: MonitoringServer, health: Health) -> None:
    health.ready("engine", True)
    health.ready("partitions", False)

    assert ask(server, "/readyz")[0] == 503
    assert ask(server, "/livez")[0] == 200


@pytest.mark.parametrize(("silent_s", "status"), [(29.9, 200), (30.0, 503)])
def test_a_silent_event_loop_is_not_alive(
    server: MonitoringServer, health: Health, clock: Clock, silent_s: float, status: int
) -> None:
    health.beat()
    clock.now_s += silent_s

    answered, text = ask(server, "/livez")

    assert answered == status
    assert (status == 200) or "has not turned for 30 s" in json.loads(text)["reasons"][0]


@pytest.mark.parametrize(("lag_s", "status"), [(0.99, 200), (1.0, 503)])
def test_an_event_loop_that_is_late_is_not_alive(
    server: MonitoringServer, health: Health, lag_s: float, status: int
) -> None:
    health.beat(lag_s)

    assert ask(server, "/livez")[0] == status

    health.beat(0.0)
    assert ask(server, "/livez")[0] == 200


def test_other_paths_are_named_as_not_found(server: MonitoringServer) -> None:
    status, text = ask(server, "/")

    assert status == 404
    assert json.loads(text)["paths"] == ["/metrics", "/livez", "/readyz"]


def test_requests_are_not_logged(server: MonitoringServer, capfd: pytest.CaptureFixture[str]) -> None:
    for path in ("/metrics", "/livez", "/readyz", "/none"):
        ask(server, path)

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("request_bytes", [b"", b"GET /metr", b"GET /metrics HTTP/1.0\r\n\r\n"])
def test_clients_that_hang_up_are_not_logged(
    server: MonitoringServer, capfd: pytest.CaptureFixture[str], request_bytes: bytes
) -> None:
    for _ in range(20):  # as a scraper that runs into its timeout
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not FIN
            client.sendall(request_bytes)

    assert ask(server, "/livez")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_taken_port_is_an_error_that_names_the_variable(server: MonitoringServer, metrics: Metrics) -> None:
    with pytest.raises(SettingsError, match=rf"TESSERA_METRICS_PORT: port {server.port} of 127\.0\.0\.1 is taken"):
        MonitoringServer(metrics, Health(), host="127.0.0.1", port=server.port)


def test_an_address_of_another_machine_is_an_error_that_names_the_variable(metrics: Metrics) -> None:
    with pytest.raises(SettingsError, match="TESSERA_METRICS_HOST"):
        MonitoringServer(metrics, Health(), host="192.0.2.1", port=0)


@pytest.mark.parametrize(("host", "asked"), [("::", "[::1]"), ("::", "127.0.0.1"), ("::1", "[::1]")])
def test_an_address_of_ipv6_is_served_and_any_is_both(metrics: Metrics, host: str, asked: str) -> None:
    with MonitoringServer(metrics, Health(), host=host, port=0) as server:
        assert get(f"http://{asked}:{server.port}/livez")[0] == 200


@pytest.mark.parametrize("host", ["no such host", "a" * 300, "::1::"])
def test_an_invalid_host_is_an_error_that_names_the_variable(metrics: Metrics, host: str) -> None:
    with pytest.raises(SettingsError, match="TESSERA_METRICS_HOST"):
        MonitoringServer(metrics, Health(), host=host, port=0)


def test_a_closed_server_frees_its_port(metrics: Metrics) -> None:
    with MonitoringServer(metrics, Health(), host="127.0.0.1", port=0) as first:
        port = first.port

    with MonitoringServer(metrics, Health(), host="127.0.0.1", port=port) as second:
        assert ask(second, "/livez")[0] == 200


async def test_the_heartbeat_is_renewed_while_the_event_loop_runs(metrics: Metrics, clock: Clock) -> None:
    health = Health(clock=clock)
    clock.now_s += 100
    assert health.why_not_alive()

    beating = asyncio.create_task(keep_beating(health, metrics, period_s=0.01))
    await asyncio.to_thread(poll, lambda: not health.why_not_alive(), within_s=30, what="a heartbeat")
    beating.cancel()

    lag_s = sample(metrics, "auction_event_loop_lag_seconds")
    assert lag_s is not None and lag_s >= 0


def test_a_monitor_is_a_bus_observer_and_ready_with_its_partitions() -> None:
    monitor = Monitor(stages=("scoring", "settlement"), currency="USD", engine="null")
    observer: Observer = monitor

    observer.assigned("scoring", True)
    assert monitor.health.why_not_ready() == ["stage settlement is not ready"]

    observer.assigned("settlement", True)
    assert not monitor.health.why_not_ready()


def test_a_process_ends_although_its_server_was_never_closed() -> None:
    program = (
        "from workers.operations.health import Health, MonitoringServer;"
        "from workers.operations.metrics import Metrics;"
        "s = MonitoringServer(Metrics(stages=(), currency='USD', engine=''), Health(), host='127.0.0.1', port=0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
