"""`tessera terms` on a real Kafka: a notice, an audit that holds auctions to it, a change that nobody announced."""

import json
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.topics import TERMS
from tests.support.worker_process import tessera

pytestmark = pytest.mark.kafka


@pytest.fixture
def no_terms_afterwards(topics: str) -> Iterator[str]:
    """Kafka with every topic; its notices are deleted at the end, as other tests hold auctions on terms of theirs."""
    yield topics
    admin, everything = AdminClient({"bootstrap.servers": topics}), TopicPartition(TERMS.name, 0, -1)
    for done in admin.delete_records([everything]).values():
        done.result(30)


def test_an_unannounced_change_is_found_and_an_announced_one_is_not(no_terms_afterwards: str) -> None:
    kafka = no_terms_afterwards
    before = tessera("terms", "show", kafka=kafka)
    dry = tessera("terms", "publish", "--dry-run", kafka=kafka)
    first = tessera("terms", "publish", "--yes", "--json", "--note", "the terms so far", kafka=kafka)
    again = tessera("terms", "publish", "--yes", kafka=kafka)

    assert b"no terms are published" in before.stdout and b"would be published" in dry.stdout
    assert first.returncode == 0, first.stderr
    assert b"nothing is published" in again.stdout, again.stderr
    assert held(kafka) == 0
    assert held(kafka, tau_micros_per_nat=77) == 2
    shown = [json.loads(line) for line in tessera("terms", "show", "--json", kafka=kafka).stdout.splitlines()]
    assert [(one["in_force"], one["note"]) for one in shown] == [(True, "the terms so far")]


def held(kafka: str, **settings: object) -> int:
    """Two auctions with these settings are held; how many unannounced terms the audit finds then."""
    done = tessera("demo", "--kafka", "--json", "--limit", "2", kafka=kafka, engine="embedded", **settings)
    assert done.returncode == 0, done.stderr
    audit = tessera("audit", "--json", "--grace", "0", kafka=kafka)
    found: int = json.loads(audit.stdout.splitlines()[-1])["kinds"].get("unannounced_terms", 0)
    return found
