"""`tessera sink parquet` on a real Kafka, killed on the way: the files are the topic."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from schemas.topics import CHARGED
from tests.support.builders import make_scored, make_settled
from tests.support.kafka_client import Reader, of, produce
from tests.support.strict_broker import StrictBroker
from tests.support.worker_process import environment, tessera

pytestmark = pytest.mark.kafka

AUCTIONS = 1_500
KILLS = 3


def bills_to(kafka: str) -> int:
    """Publishes bills as a settlement would; their sum."""
    bills = [bill for seed in range(AUCTIONS) for bill in make_settled(make_scored(seed))[1]]
    records = [bill.to_record() for bill in bills]
    headers = [[(name, value or b"") for name, value in record.headers] for record in records]
    produce(
        kafka,
        [(record.key, record.value, own) for record, own in zip(records, headers, strict=True)],
        topic=CHARGED.name,
    )
    return sum(bill.data.charge_micros for bill in bills)


def test_a_copy_that_is_killed_has_each_bill_of_the_topic_once(strict: StrictBroker, tmp_path: Path) -> None:
    """Not on the broker of most tests: audits of theirs would ask for the auctions of these bills."""
    kafka, copies, rng, ends = strict.bootstrap_servers, tmp_path / "copies", random.Random(3), []
    with Reader(kafka, [CHARGED.name]) as reader:
        micros = bills_to(kafka)
        messages = of(reader.until(lambda messages: len(messages) >= 2 * AUCTIONS), CHARGED.name)
    command = [sys.executable, "-m", "workers", "sink", "parquet", str(copies), "--batch-rows", "20"]
    for kill in range(KILLS):
        process = subprocess.Popen(command, env=environment(kafka), stderr=subprocess.PIPE)
        assert process.stderr is not None
        process.stderr.readline()  # a batch is committed, the next is on its way
        time.sleep(rng.uniform(0.0, 0.03) if kill else 0.0)
        process.kill()
        process.communicate()
        ends.append(process.returncode)

    done = tessera("sink", "parquet", str(copies), kafka=kafka)

    assert done.returncode == 0, done.stderr
    assert ends[0] == -signal.SIGKILL  # or nothing is shown
    wanted = {(message.partition(), message.offset()) for message in messages}
    rows = duckdb.sql(
        f'select "partition", "offset", charge_micros from \'{copies}/charges/*/*/*.parquet\''  # noqa: S608
    ).fetchall()
    assert len({row[:2] for row in rows}) == len(rows)
    assert sum(row[2] for row in rows if row[:2] in wanted) == micros
    told = json.loads((copies / "manifest.json").read_text())
    assert told["rows"]["charges"] == len(rows) >= 2 * AUCTIONS
