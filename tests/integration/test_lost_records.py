"""Records that retention deleted before they were worked on: nothing is skipped until somebody says so."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.topics import QUERIES
from tests.support.builders import make_query
from tests.support.kafka_client import WAIT_S, produce
from tests.support.own_node import started
from tests.support.topic_settings import alter
from tests.support.worker_process import WorkerProcess, tessera
from workers.devkafka import DevelopmentBroker
from workers.doctor.kafka import inspect_kafka
from workers.doctor.verdict import State, Verdict
from workers.pipeline import STAGES
from workers.settings import Settings
from workers.stream.admin.group_offsets import standings
from workers.stream.connection.clients import Clients
from workers.stream.offsets import Completion

pytestmark = pytest.mark.kafka

QUERIES_STORED = 60
FORGOTTEN_WITHIN_S = 30.0


class Forgetful(DevelopmentBroker):
    """Looks every half second for what its retention deletes, and not every five minutes."""

    def configure(self, template: Path, places: Mapping[str, str]) -> None:
        super().configure(template, places)
        with self.properties.open("a") as properties:
            properties.write("log.retention.check.interval.ms=500\n")


@pytest.fixture(scope="module")
def kafka_of_its_own(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker whose topics the others do not use; `kafka` only says whether one can be had."""
    own = Forgetful(tmp_path_factory.mktemp("kafka"), note=print)
    with started(own):
        assert tessera("topics", "create", kafka=own.bootstrap_servers).returncode == 0
        yield own.bootstrap_servers


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


def submit(kafka: str, partition: int, stamp_ms: int) -> None:
    """One sound query with its producer's own stamp; KafkaException: the broker does not take it."""
    failures: list[KafkaException] = []
    producer = Producer({"bootstrap.servers": kafka, "enable.idempotence": True})
    record = make_query(1).to_record()
    producer.produce(
        QUERIES.name,
        value=record.value,
        key=record.key,
        partition=partition,
        on_delivery=lambda error, _: failures.append(KafkaException(error)) if error else None,
        timestamp=stamp_ms,
        headers=list(record.headers),
    )
    assert producer.flush(WAIT_S) == 0
    if failures:
        raise failures[0]


def edges_of(kafka: str, partition: int) -> tuple[int, int]:
    """The first stored offset and the end."""
    found = asyncio.run(standings(Settings.read(bootstrap_servers=kafka), {STAGES["generation"].group: QUERIES.name}))
    return found[partition].first_stored, found[partition].end


def doctor_of_stamps(kafka: str) -> Verdict:
    verdicts = asyncio.run(inspect_kafka(Settings.read(bootstrap_servers=kafka)))
    return next(verdict for verdict in verdicts if verdict.check == "stamps")


def test_with_producer_timestamps_an_old_query_is_deleted_by_retention_and_with_broker_timestamps_not(
    kafka_of_its_own: str, tmp_path: Path
) -> None:
    # Given a query topic of an earlier release, which keeps its producers' stamps
    kafka, partition = kafka_of_its_own, 1  # that holds nothing yet: a newer record would keep its whole segment
    alter(kafka, QUERIES.name, {"message.timestamp.type": "CreateTime"})
    found = doctor_of_stamps(kafka)
    assert found.state is State.WARNING and "--add-config message.timestamp.type=LogAppendTime" in found.advice
    assert b"message.timestamp.type=CreateTime" in tessera("topics", "create", kafka=kafka).stderr

    # When one writes seconds where milliseconds belong, its acknowledged query is gone
    submit(kafka, partition, stamp_ms=int(time.time()))
    deadline = time.monotonic() + 30
    while len({*edges_of(kafka, partition)}) > 1:
        assert time.monotonic() < deadline

    # Then generation does not start, and says why that may be and what to do
    stage = WorkerProcess(["generation"], kafka, tmp_path / "refused.log")
    assert stage.process.wait(60) == 2
    for words in ("message.timestamp.type=CreateTime", "in seconds", "tessera offsets accept-loss", "nobody is billed"):
        assert words in stage.output()
    accept_loss(kafka)

    # When the broker refuses such stamps, the producer is told
    alter(kafka, QUERIES.name, {"message.timestamp.before.max.ms": "86400000"})
    assert doctor_of_stamps(kafka).state is State.OK
    with pytest.raises(KafkaException, match="timestamp"):
        submit(kafka, partition, stamp_ms=int(time.time() - 8 * 86_400) * 1_000)

    # When the broker stamps, the query stays, whatever its producer thinks
    alter(kafka, QUERIES.name, {"message.timestamp.type": "LogAppendTime", "message.timestamp.before.max.ms": None})
    assert doctor_of_stamps(kafka).state is State.OK
    submit(kafka, partition, stamp_ms=int(time.time()))
    time.sleep(2)  # four times what the broker waits between two looks
    begin, end = edges_of(kafka, partition)
    assert end - begin == 1


def test_a_stage_stops_where_retention_deleted_records_and_says_which(kafka_of_its_own: str, tmp_path: Path) -> None:
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
