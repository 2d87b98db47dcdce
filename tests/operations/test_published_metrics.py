"""The names, types, labels and help of all metrics: dashboards and alerts of others depend on them.

After a change on purpose: `python -m tests.operations.test_published_metrics` writes metrics.txt again.
"""

import subprocess
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from tests.support.prometheus_server import require
from workers.operations.monitor import Monitor
from workers.pipeline import STAGES

PUBLISHED = Path(__file__).with_name("metrics.txt")


def monitor() -> Monitor:
    found = Monitor(stages=tuple(STAGES), currency="USD", engine="null")
    found.engines.engine("null")
    found.own_models.own_model("http://own:8000#model")
    return found


def published() -> str:
    """A line for each family of ours: name, type, labels, help."""
    lines = []
    for family in monitor().registry.collect():
        if family.name.startswith("auction_"):
            labels = {name for sample in family.samples for name in sample.labels} - {"le"}
            lines.append(f"{family.name} {family.type} {','.join(sorted(labels)) or '-'} {family.documentation}")
    return "\n".join(sorted(lines)) + "\n"


def test_metrics_are_those_that_were_published() -> None:
    assert published() == PUBLISHED.read_text(encoding="utf-8")


@pytest.mark.prometheus
def test_promtool_accepts_what_a_worker_serves() -> None:
    require("promtool")

    done = subprocess.run(
        ["promtool", "check", "metrics"], input=generate_latest(monitor().registry), capture_output=True, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    PUBLISHED.write_text(published(), encoding="utf-8")
