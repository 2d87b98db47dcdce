"""`tessera sink` on a real Kafka, killed on the way: files and tables are the topic."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from schemas.topics import CHARGED
from tests.support.builders import make_scored, make_settled
from tests.support.kafka_client import Reader, of, produce
from tests.support.postgres_server import running
from tests.support.strict_broker import StrictBroker
from tests.support.worker_process import environment, tessera

pytestmark = pytest.mark.kafka

AUCTIONS = 1_500
KILLS = 2


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


@dataclass(frozen=True)
class Published:
    """Bills on the broker that is not that of most tests: audits of theirs would ask for the auctions."""

    kafka: str
    places: frozenset[tuple[int, int]]  # partition and offset
    micros: int


@pytest.fixture(scope="module")
def published(strict: StrictBroker) -> Published:
    with Reader(strict.bootstrap_servers, [CHARGED.name]) as reader:
        micros = bills_to(strict.bootstrap_servers)
        messages = of(reader.until(lambda messages: len(messages) >= 2 * AUCTIONS), CHARGED.name)
    places = frozenset((int(message.partition()), int(message.offset())) for message in messages)
    return Published(strict.bootstrap_servers, places, micros)


def copied(kafka: str, *words: str) -> None:
    """Killed twice on the way, each time behind one batch of hundreds, and run to the end."""
    command = [sys.executable, "-m", "workers", "sink", *words, "--batch-rows", "20"]
    for _ in range(KILLS):
        process = subprocess.Popen(command, env=environment(kafka), stderr=subprocess.PIPE)
        assert process.stderr is not None
        process.stderr.readline()  # a batch is committed, the next is on its way
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL  # or nothing is shown
    done = tessera("sink", *words, kafka=kafka)
    assert done.returncode == 0, done.stderr


def require_exact(rows: list[tuple[Any, ...]], published: Published) -> None:
    """`rows`: partition, offset and micros. All that is asked for is there, and nothing twice."""
    assert len({row[:2] for row in rows}) == len(rows)
    assert published.places <= {row[:2] for row in rows}
    assert sum(row[2] for row in rows if row[:2] in published.places) == published.micros


def test_parquet_files_have_each_bill_of_the_topic_once_although_the_copy_was_killed(
    published: Published, tmp_path: Path
) -> None:
    copied(published.kafka, "parquet", str(tmp_path))

    files = f"'{tmp_path}/charges/*/*/*.parquet'"
    rows = duckdb.sql(f'select "partition", "offset", charge_micros from {files}').fetchall()  # noqa: S608
    require_exact(rows, published)
    assert json.loads((tmp_path / "manifest.json").read_text())["rows"]["charges"] == len(rows)


def test_tables_have_each_bill_of_the_topic_once_although_the_copy_was_killed(published: Published) -> None:
    with running() as server:
        copied(published.kafka, "postgres", server.url)

        with psycopg.connect(server.url) as connection:
            rows = connection.execute('select "partition", "offset", charge_micros from tessera.charges').fetchall()
    require_exact(rows, published)
