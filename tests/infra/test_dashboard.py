"""The dashboard: committed as generated, well formed, and every panel's query answered by a real Prometheus."""

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from schemas.reasons import AbstentionReason, DeadLetterReason, VoidReason
from tests.support.committed_events import abstention, charged, generated, measured, not_sold, sold
from tests.support.prometheus_server import PrometheusServer, poll, require, running_prometheus
from workers.operations.health import Health, MonitoringServer
from workers.operations.metrics import Metrics, utc_now
from workers.operations.own_model_metrics import OwnModelMetrics
from workers.pipeline import STAGES
from workers.rewards.observing import CallOutcome

GRAFANA = Path(__file__).parents[2] / "infra" / "grafana"
DASHBOARD = GRAFANA / "dashboards" / "auction.json"
BOARD: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
RULES = GRAFANA.parent / "prometheus" / "rules.yml"
SCRAPED_WITHIN_S = 120.0


def queries(variables: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Panel title and PromQL of every target, with Grafana's variables put in."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], re.sub(r"\$(\w+)", lambda found: variables[found[1]], target["expr"])


# As a file


def test_regenerating_the_dashboard_changes_nothing(tmp_path: Path) -> None:
    if find_spec("grafana_foundation_sdk") is None:
        reason = "grafana-foundation-sdk is not installed: pip install -e '.[dev]'"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    again = tmp_path / "auction.json"

    subprocess.run([sys.executable, GRAFANA / "dashboard.py", again], check=True, timeout=300)

    assert again.read_bytes() == DASHBOARD.read_bytes(), "run `python infra/grafana/dashboard.py` and commit the result"


def test_ids_are_unique() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    uids = [json.loads(path.read_text(encoding="utf-8"))["uid"] for path in DASHBOARD.parent.glob("*.json")]

    assert len(set(ids)) == len(ids)
    assert len(set(uids)) == len(uids) and BOARD["uid"] == "tessera-auction"


def test_no_panels_overlap_or_leave_the_grid() -> None:
    places = [panel["gridPos"] for panel in BOARD["panels"]]

    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, f"{one} and {other}"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_explains_itself(panel: dict[str, Any]) -> None:
    assert panel["title"] and panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert all(target["legendFormat"] for target in panel["targets"])
    refs = [target["refId"] for target in panel["targets"]]
    assert refs and len(set(refs)) == len(refs)


def test_the_data_source_is_a_variable() -> None:
    (variable,) = BOARD["templating"]["list"]

    assert (variable["type"], variable["name"], variable["query"]) == ("datasource", "datasource", "prometheus")
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}


# Against Prometheus


def some_auctions(metrics: Metrics, number: int) -> int:
    """Every verb at least once, as two sold auctions and one of each kind of failure do it. Returns the bills' sum."""
    names = [f"query-{number}-{place}" for place in range(5)]
    bills = [charged(names[0], "seeds", charge_micros=1_700), charged(names[1], "soil", charge_micros=25)]
    now = {"submitted_at": utc_now()}
    metrics.committed([generated(name) for name in names])
    metrics.committed([sold(names[0], **now), sold(names[1], effective_sample_size=1.0, **now), *bills])
    metrics.committed([not_sold(names[2], abstentions=(abstention(AbstentionReason.NO_CONSENT),), **now)])
    metrics.committed([not_sold(names[3], void_reason=VoidReason.DEADLINE_PASSED, **now)])
    metrics.committed([measured(names[0], 0.0, -1e-7)])
    metrics.refused("generation", DeadLetterReason.EXPIRED)
    for stage in STAGES:
        metrics.handled(stage, 0.02)
        metrics.transaction(stage, "committed", 0.005, 5)
        metrics.in_flight(stage, number)
        metrics.rebalanced(stage)
    metrics.producer_reopened("settlement")
    metrics.loop_lag(0.001)
    return sum(bill.data.charge_micros for bill in bills)  # type: ignore[attr-defined]  # all are charges


def scraped(server: PrometheusServer, expression: str, wanted: float) -> None:
    """Wait until Prometheus has seen the value."""
    poll(lambda: server.value(expression) == wanted, within_s=SCRAPED_WITHIN_S, what=f"{expression} == {wanted}")


@pytest.mark.prometheus
def test_prometheus_sees_the_revenue_and_answers_every_panel(tmp_path: Path) -> None:
    """Given a process that serves metrics, when auctions are committed, then a real Prometheus has their bills."""
    require("prometheus")
    metrics = Metrics(stages=tuple(STAGES), currency="USD", engine="null")
    with (
        MonitoringServer(metrics, Health(), host="127.0.0.1", port=0) as process,
        running_prometheus(
            [f"127.0.0.1:{process.port}"], tmp_path, scrape_interval_ms=500, rule_files=[RULES]
        ) as server,
    ):
        own_models = OwnModelMetrics(metrics.registry)
        own_models.own_model("http://127.0.0.1:8001#own")
        scraped(server, "sum(auction_revenue_micros_total)", 0)  # a rate needs the value before
        billed = 0
        for number in range(1, 4):
            billed += some_auctions(metrics, number)
            own_models.own_model_asked("http://127.0.0.1:8001#own", CallOutcome.ANSWERED, 0.1, slow=False)
            scraped(server, "sum(auction_revenue_micros_total)", billed)

        assert billed == 3 * (1_700 + 25)
        assert server.value("sum(auction_charge_micros_sum)") == billed
        assert server.value('sum(auction_queries_total{outcome="sold"})') == 6
        assert server.value("sum(auction_queries_total)") == 15
        assert server.healthy_targets() == {f"127.0.0.1:{process.port}"}
        assert_every_panel_is_answered(server)
        poll(lambda: server.query("job:auction_queries:rate5m"), within_s=SCRAPED_WITHIN_S, what="a recorded rate")


def assert_every_panel_is_answered(server: PrometheusServer) -> None:
    asked = list(queries({"__rate_interval": "1m", "__range": "5m"}))
    empty = [f"{title}: {expression}" for title, expression in asked if not server.query(expression)]

    assert len(asked) >= len(PANELS)
    assert not empty, "\n".join(empty)
