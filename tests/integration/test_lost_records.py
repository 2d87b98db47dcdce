"""Records that retention deleted before they were worked on: nothing is skipped until somebody says so."""

import asyncio
import json
import subprocess
import time
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.topics import QUERIES
from tests.builders import make_query
from tests.kafka_client import produce
from tests.worker_process import WorkerProcess, tessera
from workers.pipeline import STAGES
from workers.settings import Settings
from workers.stream.broker import DevelopmentBroker
from workers.stream.clients import Clients
from workers.stream.completion import Completion

pytestmark = pytest.mark.kafka

QUERIES_STORED = 60
FORGOTTEN_WITHIN_S = 30.0


@pytest.fixture
def kafka_of_its_own(kafka: str, tmp_path: Path) -> object:
    """A broker whose topics the others do not use; `kafka` only says whether one can be had."""
    own = DevelopmentBroker(tmp_path / "kafka", note=print)
    own.start()
    assert tessera("topics", "create", kafka=own.bootstrap_servers).returncode == 0
    yield own.bootstrap_servers
    own.stop()


def accept_loss(kafka: str) -> "subprocess.CompletedProcess[bytes]":
    """Asked until the group has forgotten the process that refused: one with a name stays a member for a session."""
    deadline = time.monotonic() + FORGOTTEN_WITHIN_S
    while (done := tessera("offsets", "accept-loss", "--yes", "--json", kafka=kafka)).returncode:
        assert b"has running workers" in done.stderr and time.monotonic() < deadline, done.stderr
    return done


async def finish_early(kafka: str, partition: int, *early: int) -> None:
    """Commit as a worker that has finished these offsets and none before them."""
    to = {partition: Completion(0, frozenset(early), attempts=1)}
    async with Clients(Settings.read(bootstrap_servers=kafka, allow_plaintext=True)).cluster() as cluster:
        await cluster.commit(STAGES["generation"].group, QUERIES.name, to)


def test_a_stage_stops_and_says_what_is_gone(kafka_of_its_own: str, tmp_path: Path) -> None:
    # Given queries of which the first are deleted before any worker came
    kafka, settings = kafka_of_its_own, {"instance": "one"}
    records = [make_query(number).to_record() for number in range(QUERIES_STORED)]
    produce(kafka, [(record.key, record.value, record.headers) for record in records])
    asyncio.run(finish_early(kafka, 2, 3, 6, 8))
    gone = TopicPartition(QUERIES.name, 2, 5)
    admin = AdminClient({"bootstrap.servers": kafka})  # one that nobody keeps is closed before it has an answer
    admin.delete_records([gone])[gone].result(30)

    # When the stage starts, it refuses, names the place and the decision, and changes nothing
    stage = WorkerProcess(["generation"], kafka, tmp_path / "refused.log", **settings)
    assert stage.process.wait(60) == 2
    assert (
        f"{QUERIES.name} partition 2: the next record is at offset 0, the first that is stored is 5" in stage.output()
    )
    assert "tessera offsets accept-loss" in stage.output()
    shown = tessera("offsets", "show", "--json", kafka=kafka)
    assert shown.returncode == 1
    assert {
        (row["partition"], row["deleted"]) for row in map(json.loads, shown.stdout.splitlines()) if row["deleted"]
    } == {(2, 4)}

    # When somebody accepts the loss, it goes on there
    accepted = accept_loss(kafka)
    assert [(row["partition"], row["to"]) for row in map(json.loads, accepted.stdout.splitlines())] == [(2, 5)]
    shown = tessera("offsets", "show", "--json", kafka=kafka)
    assert shown.returncode == 0
    assert {  # what was finished beyond is not done again
        (row["partition"], row["committed"], row["early"], row["deaths"])
        for row in map(json.loads, shown.stdout.splitlines())
        if row["early"] or row["deaths"]
    } == {(2, 5, 2, 0)}
    with WorkerProcess(["generation"], kafka, tmp_path / "accepted.log", **settings) as stage:
        stage.until_ready()
    assert tessera("offsets", "accept-loss", kafka=kafka).stderr.startswith(b"no stage has lost a record")
