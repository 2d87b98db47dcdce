"""A real Prometheus scrapes a real run: its revenue is the sum of the bills on the topic."""

import json
import uuid
from functools import partial
from pathlib import Path

import pytest

from schemas.topics import CHARGED, SETTLED
from tests.integration.test_kill import query
from tests.kafka_client import Reader, of, produce
from tests.prometheus_server import poll, running_prometheus
from tests.worker_process import worker

pytestmark = [pytest.mark.kafka, pytest.mark.prometheus]

QUERIES = 20


def test_revenue_in_promql_is_the_sum_of_the_bills(topics: str, tmp_path: Path) -> None:
    # Given a worker that is scraped
    with worker(["generation", "scoring", "settlement"], topics, tmp_path / "log") as process:
        target = process.url().removeprefix("http://")
        with Reader(topics) as reader, running_prometheus([target], tmp_path) as prometheus:
            # When auctions are held, and a query is refused
            ids = [f"metrics-{uuid.uuid4()}" for _ in range(QUERIES)]
            produce(topics, [(id_.encode(), query(id_), ()) for id_ in ids] + [(None, b"no query", ())])
            messages = reader.until(lambda found: len(of(found, CHARGED.name)) == 2 * QUERIES)
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
            assert prometheus.value('sum(auction_transactions_total{result="committed"})')
