"""A real Prometheus scrapes a real run: its revenue is the sum of the bills on the topic, and no panel is empty."""

import json
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Message

from schemas.topics import CHARGED, INCENTIVES, SETTLED
from tests.integration.test_kill import query
from tests.support.dashboards import unanswered
from tests.support.kafka_client import EVERYTHING, Reader, of, produce
from tests.support.prometheus_server import poll, running_prometheus
from tests.support.worker_process import environment, worker

pytestmark = [pytest.mark.kafka, pytest.mark.prometheus]

QUERIES = 20
OWN_MODELS = ("Calls per minute", "Duration, p95", "Left out")  # nobody has one here
ENDS_WITHIN_S = 30.0


def keys_of(messages: Iterable[Message], topic: str) -> set[str]:
    return {(message.key() or b"").decode() for message in of(messages, topic)}


@contextmanager
def ledger(kafka: str) -> Iterator[str]:
    """`tessera balance --metrics-port`, by where Prometheus finds it."""
    command = [sys.executable, "-m", "workers", "balance", "--metrics-port", "0"]
    with subprocess.Popen(command, env=environment(kafka), stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            found = re.search(rb"http://([^/]+)", process.stderr.readline())
            assert found is not None
            yield found[1].decode()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(ENDS_WITHIN_S)


def test_the_revenue_metric_in_promql_is_the_sum_of_the_bills(topics: str, tmp_path: Path) -> None:
    # Given a worker that is scraped
    stages = ["generation", "scoring", "settlement", "incentives"]
    with worker(stages, topics, tmp_path / "log", incentive_sample=1) as process, ledger(topics) as other:
        targets = [process.url().removeprefix("http://"), other]
        read = (*EVERYTHING, INCENTIVES.name)
        with Reader(topics, read) as reader, running_prometheus(targets, tmp_path) as prometheus:
            poll(lambda: prometheus.query("auction_queries_total"), within_s=30, what="a first scrape")
            # When auctions are held, and a query is refused
            ids = [f"metrics-{uuid.uuid4()}" for _ in range(QUERIES)]
            produce(topics, [(id_.encode(), query(id_), ()) for id_ in ids] + [(None, b"no query", ())])
            reader.until(lambda found: len(of(found, CHARGED.name)) == 2 * QUERIES)
            messages = reader.until(lambda found: set(ids) <= keys_of(found, INCENTIVES.name))
            bills = sum(json.loads(message.value())["charge_micros"] for message in of(messages, CHARGED.name))

            # Then Prometheus counts what consumers of the topics count
            expected = {
                "sum(auction_revenue_micros_total)": bills,
                'sum(auction_queries_total{outcome="sold"})': len(of(messages, SETTLED.name)),
                'sum(auction_queries_total{outcome="refused"})': 1,
                'sum(auction_dead_letters_total{reason="BAD_JSON"})': 1,
                "sum(auction_reply_latency_seconds_count)": QUERIES,
            }
            for expression, value in expected.items():
                is_there = partial(lambda query, wanted: prometheus.value(query) == wanted, expression, value)
                poll(is_there, within_s=30, what=f"{expression} = {value}")
            # and no lie that was tried on any of them would have paid more than rounding can
            gaps, small = "auction_incentive_gap_micros_count", 'auction_incentive_gap_micros_bucket{le="1.0"}'
            poll(lambda: (prometheus.value(f"sum({gaps})") or 0) >= 2 * QUERIES, within_s=30, what="gaps")
            assert prometheus.value(f"sum({gaps}) - sum({small})") == 0
            assert prometheus.value('sum(auction_transactions_total{result="committed"})')
            # and every panel of every dashboard has an answer
            poll(lambda: not unanswered(prometheus, OWN_MODELS), within_s=60, what="every panel has an answer")
