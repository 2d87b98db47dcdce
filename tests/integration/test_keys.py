"""Commitments on a real Kafka: told by settlement itself, listed, and revealed when the day is over."""

import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import COMMITMENTS, SCORED, SETTLED
from tests.support.kafka_client import Reader, of, produce
from tests.support.worker_process import tessera, worker
from workers.draw_keys import commitment
from workers.mechanism.epochs import epoch_key, epoch_of, sampling_epoch_key, sampling_secret_of
from workers.operations.monitor import Monitor
from workers.pipeline import now
from workers.settings import DEMO_DRAW_KEY, Settings
from workers.stream.kafka import KafkaBus

pytestmark = pytest.mark.kafka

SECRET = DEMO_DRAW_KEY.get_secret_value().encode()


def rows(*arguments: str, kafka: str, **settings: object) -> list[dict[str, Any]]:
    done = tessera(*arguments, "--json", kafka=kafka, **settings)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_settlement_commits_before_it_draws(topics: str, tmp_path: Path) -> None:
    query_id = f"keys-{uuid.uuid4()}"
    bidder = {"advertiser_id": "a", "name": "A", "description": "selling things", "value_micros_per_nat": 1_000}
    asked = {"query_id": query_id, "text": "How?", "advertising_consent": True, "advertisers": [bidder]}
    query = json.dumps(asked).encode()
    stages = ["generation", "scoring", "settlement"]
    with Reader(topics) as reader, worker(stages, topics, tmp_path / "log", candidates=4):
        # When a query is settled
        produce(topics, [(query_id.encode(), query, ())])
        messages = reader.until(lambda found: any(one.key() == query_id.encode() for one in of(found, SETTLED.name)))
    settled = json.loads(of(messages, SETTLED.name)[-1].value())

    # Then the key it was drawn with is the one that the topic had been told of
    listed = {row["epoch"]: row for row in rows("keys", "list", kafka=topics)}
    assert listed[settled["draw"]["epoch"]]["key_sha256"] == settled["draw"]["key_sha256"]
    assert listed[settled["draw"]["epoch"]]["committed_at"] < str(now())
    # And so is the key that its candidates' seeds derive from
    seeds = json.loads(of(messages, SCORED.name)[-1].value())["seeds"]
    assert seeds["key_sha256"] in listed[seeds["epoch"]]["sampling_keys"]
    # And from the topics its candidates are drawn and scored again as they were; other tests' models are not judged
    done = tessera("audit", "--json", "--resample", "10000", "--rescore", "10000", kafka=topics)
    *findings, totals = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(totals["invariants"][name]["checked"] for name in ("seeds", "resampled", "rescored")), done.stderr
    assert query_id not in {finding["query_id"] for finding in findings}


def test_settlement_with_another_draw_secret_does_not_start(topics: str) -> None:
    rows("keys", "commit", "--days", "1", kafka=topics)

    done = tessera("run", "settlement", kafka=topics, draw_key="another secret of thirty-two characters!")

    assert done.returncode == 2
    assert b"committed to another key" in done.stderr and b"another secret" not in done.stderr


def test_keys_commit_commits_the_days_asked_for_and_is_idempotent(topics: str) -> None:
    first = rows("keys", "commit", "--days", "3", kafka=topics)

    assert rows("keys", "commit", "--days", "3", kafka=topics) == first
    assert {epoch_of(now() + timedelta(days=day)) for day in range(3)} <= {row["epoch"] for row in first}


def test_keys_reveal_refuses_today_and_unknown_days(topics: str) -> None:
    rows("keys", "commit", "--days", "1", kafka=topics)

    for epoch, says in ((epoch_of(now()), b"is not over"), ("1999-12-31", b"is not committed to")):
        done = tessera("keys", "reveal", "--epoch", epoch, kafka=topics)
        assert done.returncode == 2 and says in done.stderr


async def test_keys_reveal_reveals_a_past_day_once(topics: str) -> None:
    # Given a day long ago that was committed to
    key, seeds = epoch_key(SECRET, "2020-02-29"), sampling_epoch_key(sampling_secret_of(SECRET), "2020-02-29")
    bus = KafkaBus(Settings.read(bootstrap_servers=topics), Monitor(stages=(), currency="USD", engine="none"))
    await bus.publish([commitment(key, now(), seeds=seeds).to_record()])

    # When everything that is over is revealed, twice
    first, again = (rows("keys", "reveal", kafka=topics) for _ in range(2))

    # Then its keys are there for anybody, and were published once
    found = [(row["key"], row["sampling_keys"]) for row in first if row["epoch"] == key.epoch]
    assert found == [(key.key.hex(), {seeds.sha256: seeds.key.hex()})]
    assert again == first
    stored = [record async for record in bus.stored([COMMITMENTS.name]) if record.key == b"2020-02-29"]
    assert len([record for record in stored if key.key.hex().encode() in (record.value or b"")]) == 1


def test_keys_new_makes_a_secret_that_is_long_enough() -> None:
    made = tessera("keys", "new").stdout.decode().strip()

    assert len(bytes.fromhex(made)) == 32
    assert Settings(draw_key=made).draw_secrets == (made.encode(),)  # type: ignore[arg-type]  # as the variable has it
