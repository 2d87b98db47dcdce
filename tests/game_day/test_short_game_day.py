"""The short form of a game day: the engine is killed, its alert fires, and is silent when the engine is back."""

import uuid
from pathlib import Path

import pytest

from tests.game_day.__main__ import RULES
from tests.game_day.hurried import write_hurried
from tests.game_day.pipeline import SETTINGS
from tests.game_day.supervised import Supervised
from tests.integration.test_kill import query
from tests.support.kafka_client import produce
from tests.support.prometheus_server import PrometheusServer, free_port, get, poll, require, running_prometheus
from tests.support.worker_process import environment, worker

pytestmark = [pytest.mark.kafka, pytest.mark.prometheus]

TIMES = 60
WITHIN_S = 120.0  # the alert waits for 5 s of them
ALERT = "AuctionEngineDown"
SETTLED = 'sum(auction_queries_total{outcome!="refused"})'


def answers(port: int) -> bool:
    try:
        return get(f"http://127.0.0.1:{port}/version")[0] == 200
    except OSError:
        return False


def fires(prometheus: PrometheusServer) -> bool:
    return ALERT in prometheus.firing()


def test_an_engine_that_dies_wakes_somebody_and_one_that_is_back_does_not(topics: str, tmp_path: Path) -> None:
    require("prometheus")
    delay, port = tmp_path / "delay", free_port()
    delay.write_text("0")
    stand_in = Supervised(
        ("tests.game_day.engine", str(port), str(delay)), environment(topics), tmp_path / "engine.log"
    )
    settings = {**SETTINGS, "engine": f"http://127.0.0.1:{port}#base"}
    rules = [write_hurried(RULES, tmp_path, TIMES)]
    try:
        poll(lambda: answers(port), within_s=WITHIN_S, what="the engine answers")
        with worker(["generation", "scoring", "settlement"], topics, tmp_path / "log", **settings) as process:
            target = process.url().removeprefix("http://")
            with running_prometheus([target], tmp_path, scrape_interval_ms=500, rule_files=rules) as prometheus:
                poll(lambda: prometheus.query("auction_engine_down"), within_s=WITHIN_S, what="a first scrape")
                assert not fires(prometheus)

                # When the engine dies and a query is sent, which nobody can answer
                stand_in.keep_down()
                id_ = f"game-day-{uuid.uuid4()}"
                produce(topics, [(id_.encode(), query(id_), ())])

                # Then somebody is woken
                poll(lambda: fires(prometheus), within_s=WITHIN_S, what=f"{ALERT} fires")

                # and when it is back, the query gets its reply, and the alert is over
                stand_in.let_up()
                poll(lambda: prometheus.value(SETTLED), within_s=WITHIN_S, what="the query is settled")
                poll(lambda: not fires(prometheus), within_s=WITHIN_S, what=f"{ALERT} is silent again")
    finally:
        stand_in.end()
