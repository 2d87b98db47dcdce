"""A game day's rules are the rules: what is divided are ranges and waiting times, and nothing else."""

import json
import re

import pytest
import yaml

from tests.game_day.__main__ import RULES
from tests.game_day.hurried import RANGE, hurried, shortened
from tests.game_day.outages import OUTAGES

TEXT = RULES.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("duration", "short"), [("5m", "30000ms"), ("6h", "2160000ms"), ("3d", "25920000ms"), ("1s", "100ms")]
)
def test_a_duration_is_divided(duration: str, short: str) -> None:
    assert shortened(duration, 10) == short


def test_what_is_no_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="1h30m"):
        shortened("1h30m", 10)


def test_all_rules_are_there_and_nothing_but_times_has_changed() -> None:
    def timeless(text: str) -> str:
        groups = yaml.safe_load(text)["groups"]
        for rule in (rule for group in groups for rule in group["rules"]):
            rule["expr"] = re.sub(r"\[\w+\]", "[]", rule["expr"])
            rule["for"] = bool(rule.get("for"))
        return json.dumps(groups)

    found = hurried(TEXT, 10)

    assert timeless(found) == timeless(TEXT)
    assert RANGE.search(TEXT) and not RANGE.search(found)


def test_every_alert_that_an_outage_expects_exists() -> None:
    alerts = set(re.findall(r"alert: (\w+)", TEXT))

    assert {name for outage in OUTAGES.values() for name in outage.expected} <= alerts
