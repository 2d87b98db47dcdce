"""`tessera load` against a real pipeline: every record has the answer that its kind gets."""

import json
from pathlib import Path

import pytest

from tests.support.worker_process import tessera, worker

pytestmark = pytest.mark.kafka

MIX = ("--poison", "0.1", "--duplicates", "0.1", "--deadlines", "0.2", "--deadline", "60")


def test_every_kind_of_record_gets_its_answer_and_all_of_them_are_counted(topics: str, tmp_path: Path) -> None:
    with worker(["generation", "scoring", "settlement"], topics, tmp_path / "log"):
        report = tmp_path / "load.html"
        done = tessera("load", "--rate", "30", "--duration", "4", *MIX, "--html", str(report), "--json", kafka=topics)

    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    outcomes = {kind["kind"]: kind["outcomes"] for kind in found["kinds"]}
    counts = {kind["kind"]: kind["arrivals"] for kind in found["kinds"]}
    assert outcomes["duplicate"] == {"refused DUPLICATE_QUERY": counts["duplicate"]}
    assert all(reason.startswith("refused BAD_") for reason in outcomes["poison"])
    assert sum(outcomes["poison"].values()) == counts["poison"]
    assert outcomes["query"] == {"sold": counts["query"]}
    assert outcomes["deadline"] == {"sold": counts["deadline"]}
    assert found["unanswered"] == found["not_taken"] == 0
    assert found["arrivals"] == sum(counts.values())
    assert all(0 < kind["from_due_ms"]["p50"] <= kind["from_due_ms"]["p100"] for kind in found["kinds"])
    assert "data:image/svg+xml" in report.read_text(encoding="utf-8")
