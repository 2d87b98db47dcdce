"""Prometheus's configuration and rules: its own checker accepts them, and each alert fires on what it is for."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.prometheus_server import require

PROMETHEUS = Path(__file__).parents[2] / "infra" / "prometheus"
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


@pytest.mark.prometheus
@pytest.mark.parametrize("arguments", [("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")])
def test_promtool_accepts_the_rules_and_the_configuration(arguments: tuple[str, ...]) -> None:
    require("promtool")

    done = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_each_alert_is_tested_and_says_what_to_do() -> None:
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text(encoding="utf-8"))["tests"]
    tested = [{case["alertname"]: bool(case["exp_alerts"]) for case in test["alert_rule_test"]} for test in tests]

    assert tested == [dict.fromkeys(ALERTS, False), dict.fromkeys(ALERTS, True)]
    assert all({"summary", "description"} == set(rule["annotations"]) for rule in ALERTS.values())
    assert {rule["labels"]["severity"] for rule in ALERTS.values()} <= {"page", "ticket"}
