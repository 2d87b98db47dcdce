"""The alert rules in a hurry: every range and every `for` is divided, so that a game day takes minutes.

Thresholds stay what they are: a record that must be 30 s old is 30 s old.
"""

import json
import re
from pathlib import Path

import yaml

SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
DURATION = re.compile(r"(\d+)([smhd])")
RANGE = re.compile(r"\[(\d+[smhd])\]")


def shortened(duration: str, times: float) -> str:
    """`5m` ten times faster is `30000ms`. ValueError: it is no duration with one unit."""
    if (found := DURATION.fullmatch(duration)) is None:
        raise ValueError(f"{duration!r} is no duration such as 5m")
    return f"{round(int(found[1]) * SECONDS[found[2]] * 1_000 / times)}ms"


def hurried(rules: str, times: float) -> str:
    """The text of a rules file (JSON, which is YAML) whose ranges and waiting times are divided by `times`."""
    groups = yaml.safe_load(rules)["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        rule["expr"] = RANGE.sub(lambda found: f"[{shortened(found[1], times)}]", rule["expr"])
        if "for" in rule:
            rule["for"] = shortened(rule["for"], times)
    return json.dumps({"groups": groups})


def write_hurried(rules: Path, folder: Path, times: float) -> Path:
    """The file of them."""
    path = folder / "rules.json"
    path.write_text(hurried(rules.read_text(encoding="utf-8"), times), encoding="utf-8")
    return path
