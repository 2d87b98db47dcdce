"""Prometheus's configuration and rules: its own checker accepts them, and each alert fires on what it is for."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from prometheus_client import generate_latest

from tests.support.prometheus_server import require
from workers.cli import cli
from workers.operations.ledger_metrics import LedgerMetrics
from workers.operations.monitor import Monitor
from workers.settings import Settings

PROMETHEUS = Path(__file__).parents[2] / "infra" / "prometheus"
RUNBOOKS = PROMETHEUS / "runbooks"
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


CHECKS = [
    ("check", "config", "prometheus.yml"),
    ("check", "config", "processes.yml"),
    ("test", "rules", "rules_test.yml"),
]


@pytest.mark.prometheus
@pytest.mark.parametrize("arguments", CHECKS)
def test_promtool_accepts_the_rules_and_the_configuration(arguments: tuple[str, ...]) -> None:
    require("promtool")

    done = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_plain_processes_are_scraped_as_those_of_compose_are() -> None:
    """One job, so that rules and dashboard fit both; the default port is the first."""
    compose, plain = (
        yaml.safe_load((PROMETHEUS / name).read_text(encoding="utf-8")) for name in ("prometheus.yml", "processes.yml")
    )

    assert {key: value for key, value in plain.items() if key != "scrape_configs"} == {
        key: value for key, value in compose.items() if key != "scrape_configs"
    }
    (job,), (other,) = plain["scrape_configs"], compose["scrape_configs"]
    assert job["job_name"] == other["job_name"]
    assert job["static_configs"][0]["targets"][0] == f"127.0.0.1:{Settings.read().metrics_port}"


def test_each_alert_is_tested_and_says_what_to_do() -> None:
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text(encoding="utf-8"))["tests"]
    cases = {(case["alertname"], bool(case["exp_alerts"])) for test in tests for case in test["alert_rule_test"]}

    assert cases == {(alert, fires) for alert in ALERTS for fires in (False, True)}
    assert all({"summary", "description"} == set(rule["annotations"]) for rule in ALERTS.values())
    assert {rule["labels"]["severity"] for rule in ALERTS.values()} <= {"page", "ticket"}


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(ALERTS)


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_a_runbook_names_only_settings_commands_and_metrics_that_exist(alert: str) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text(encoding="utf-8")
    settings = {f"TESSERA_{name.upper()}" for name in Settings.model_fields}
    commands = re.findall(r"`tessera ([a-z]+(?: [a-z]+)?)", text)
    told_by = Monitor(stages=("scoring",), currency="USD", engine="none").registry, LedgerMetrics().registry
    families = "".join(generate_latest(registry).decode() for registry in told_by)

    assert set(re.findall(r"TESSERA_[A-Z_]+", text)) <= settings
    assert [words for words in commands if CliRunner().invoke(cli, [*words.split(), "--help"]).exit_code] == []
    assert [one for one in re.findall(r"auction_[a-z_]+", text) if one.removesuffix("_") not in families] == []
