"""`tessera terms` on a real Kafka: a notice, an audit that holds auctions to it, a change that nobody announced."""

import json

import pytest

from tests.support.worker_process import tessera

pytestmark = pytest.mark.kafka


def test_an_unannounced_change_is_found_and_an_announced_one_is_not(topics: str) -> None:
    before = tessera("terms", "show", kafka=topics)
    dry = tessera("terms", "publish", "--dry-run", kafka=topics)
    first = tessera("terms", "publish", "--yes", "--json", "--note", "the terms so far", kafka=topics)
    again = tessera("terms", "publish", "--yes", kafka=topics)
    held = tessera("demo", "--kafka", "--json", "--limit", "2", kafka=topics, engine="embedded")

    assert b"no terms are published" in before.stdout and b"would be published" in dry.stdout
    assert first.returncode == 0, first.stderr
    assert b"nothing is published" in again.stdout and held.returncode == 0, again.stderr
    assert _unannounced(topics) == 0
    changed = tessera(
        "demo", "--kafka", "--json", "--limit", "2", kafka=topics, engine="embedded", TESSERA_TAU_MICROS_PER_NAT="77"
    )
    assert changed.returncode == 0, changed.stderr
    assert _unannounced(topics) == 2
    shown = [json.loads(line) for line in tessera("terms", "show", "--json", kafka=topics).stdout.splitlines()]
    assert [one["in_force"] for one in shown] == [True] and shown[0]["note"] == "the terms so far"


def _unannounced(topics: str) -> int:
    done = tessera("audit", "--json", "--grace", "0", kafka=topics)
    totals = json.loads(done.stdout.splitlines()[-1])
    found: int = totals["kinds"].get("unannounced_terms", 0)
    return found
