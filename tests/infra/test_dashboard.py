"""The dashboards: committed as generated, well formed, and every panel's query answered by a real Prometheus."""

import itertools
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from schemas.reasons import AbstentionReason, DeadLetterReason, VoidReason
from tests.support.committed_events import abstention, charged, generated, measured, not_sold, sold
from tests.support.dashboards import BOARDS, FOLDER, Json, panels, queries, unanswered
from tests.support.prometheus_server import PrometheusServer, poll, require, running_prometheus
from workers.engines.observed import EngineResult
from workers.ledger.account import Account
from workers.ledger.book import Book
from workers.operations.health import Health, MonitoringServer
from workers.operations.ledger_metrics import LedgerMetrics
from workers.operations.metrics import Metrics, utc_now
from workers.operations.monitor import Monitor
from workers.pipeline import STAGES
from workers.rewards.observing import CallOutcome

GRAFANA = FOLDER.parent
PROMETHEUS = GRAFANA.parent / "prometheus"
RULES = PROMETHEUS / "rules.yml"
SCRAPED_WITHIN_S = 120.0

every_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


# As files


def test_regenerating_the_dashboards_changes_nothing(tmp_path: Path) -> None:
    if find_spec("grafana_foundation_sdk") is None:
        reason = "grafana-foundation-sdk is not installed: pip install -e '.[dev]'"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)

    subprocess.run([sys.executable, GRAFANA / "dashboard.py", tmp_path], check=True, timeout=300)

    again, committed = ({path.name: path.read_bytes() for path in folder.glob("*")} for folder in (tmp_path, FOLDER))
    assert again == committed, "run `python infra/grafana/dashboard.py` and commit the result"


@every_board
def test_ids_of_panels_are_unique(board: Json) -> None:
    ids = [panel["id"] for panel in board["panels"]]

    assert len(set(ids)) == len(ids)


def test_each_dashboard_links_to_all_others_by_their_uids() -> None:
    uids = {name: board["uid"] for name, board in BOARDS.items()}

    assert uids == {name: f"tessera-{name}" for name in BOARDS} and len(BOARDS) == 4
    for name, board in BOARDS.items():
        linked = {link["url"] for link in board["links"]}
        assert linked == {f"/d/{uid}" for other, uid in uids.items() if other != name}


@every_board
def test_no_panels_overlap_or_leave_the_grid(board: Json) -> None:
    places = [panel["gridPos"] for panel in board["panels"]]

    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, f"{one} and {other}"


@pytest.mark.parametrize(
    "panel", [pytest.param(panel, id=f"{name}: {panel['title']}") for name in BOARDS for panel in panels(name)]
)
def test_each_panel_explains_itself(panel: Json) -> None:
    text, _, runbook = panel["description"].partition(" Runbook: ")

    assert panel["title"] and text.endswith(".")
    assert not runbook or (PROMETHEUS / "runbooks" / f"{runbook[:-1]}.md").is_file()
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert all(target["legendFormat"] for target in panel["targets"])
    refs = [target["refId"] for target in panel["targets"]]
    assert refs and len(set(refs)) == len(refs)


@pytest.mark.parametrize("name", BOARDS)
def test_the_data_source_is_a_variable_and_every_other_variable_is_used(name: str) -> None:
    source, *others = BOARDS[name]["templating"]["list"]
    expressions = " ".join(expression for _, expression in queries(name, {}))

    assert (source["type"], source["name"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert {panel["datasource"]["uid"] for panel in panels(name)} == {"${datasource}"}
    assert others and all(f"${one['name']}" in expressions for one in others)
    assert {(one["includeAll"], one["allValue"]) for one in others} == {(True, ".*")}


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
    metrics.lag("scoring", 3, 0.5)
    return sum(bill.data.charge_micros for bill in bills)  # type: ignore[attr-defined]  # all are charges


def scraped(server: PrometheusServer, expression: str, wanted: float) -> None:
    """Wait until Prometheus has seen the value."""
    poll(lambda: server.value(expression) == wanted, within_s=SCRAPED_WITHIN_S, what=f"{expression} == {wanted}")


@pytest.mark.prometheus
def test_prometheus_sees_the_revenue_and_answers_every_panel(tmp_path: Path) -> None:
    """Given a process that serves metrics, when auctions are committed, then a real Prometheus has their bills."""
    require("prometheus")
    metrics, ledger = Monitor(stages=tuple(STAGES), currency="USD", engine="null"), LedgerMetrics()
    with (
        MonitoringServer(metrics, Health(), host="127.0.0.1", port=0) as process,
        running_prometheus(
            [f"127.0.0.1:{process.port}", f"127.0.0.1:{ledger.serve('127.0.0.1', 0)}"],
            tmp_path,
            scrape_interval_ms=500,
            rule_files=[RULES],
        ) as server,
    ):
        metrics.engines.engine("null")
        metrics.own_models.own_model("http://127.0.0.1:8001#own")
        scraped(server, "sum(auction_revenue_micros_total)", 0)  # a rate needs the value before
        billed = 0
        for number in range(1, 4):
            billed += some_auctions(metrics, number)
            metrics.engines.engine_asked("null", "sample", EngineResult.DOWN, 0)
            metrics.own_models.own_model_asked("http://127.0.0.1:8001#own", CallOutcome.ANSWERED, 0.1, slow=False)
            ledger.read(book(billed), 0)
            scraped(server, "sum(auction_revenue_micros_total)", billed)
            scraped(server, "sum(auction_ledger_charged_micros)", billed)

        assert billed == 3 * (1_700 + 25)
        assert server.value("sum(auction_charge_micros_sum)") == billed
        assert server.value('sum(auction_queries_total{outcome="sold"})') == 6
        assert server.value("sum(auction_queries_total)") == 15
        assert f"127.0.0.1:{process.port}" in server.healthy_targets()
        assert not unanswered(server)
        poll(lambda: server.query("job:auction_queries:rate5m"), within_s=SCRAPED_WITHIN_S, what="a recorded rate")


@pytest.mark.prometheus
def test_a_panel_that_asks_for_a_metric_of_another_name_is_found(tmp_path: Path) -> None:
    """The check above can fail: a Prometheus that scrapes nothing answers no panel."""
    require("prometheus")
    with running_prometheus([], tmp_path) as server:
        assert len(unanswered(server)) == sum(len(list(queries(name, {}))) for name in BOARDS)


def book(charged_micros: int) -> Book:
    """Of one account."""
    found = Book(accounts={("a", "USD"): Account("a", "USD", charged_micros=charged_micros)})
    found.revenue_micros["USD"] = charged_micros
    return found
