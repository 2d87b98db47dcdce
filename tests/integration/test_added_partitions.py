"""Partitions that are added to the query topic are worked on from their first record; elsewhere they are refused."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from schemas.topics import QUERIES, SCORED, SETTLED
from tests.support.builders import make_query
from tests.support.kafka_client import Reader, produce
from tests.support.own_node import started
from tests.support.worker_process import tessera, worker
from workers.devkafka import DevelopmentBroker
from workers.doctor.kafka import inspect_kafka
from workers.doctor.verdict import State
from workers.pipeline import STAGES
from workers.settings import Settings

pytestmark = pytest.mark.kafka
QUERIES_SENT = 12
POSITIONS_OF_QUERIES = STAGES["generation"].positions


@pytest.fixture(scope="module")
def kafka_of_its_own(session_broker: DevelopmentBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker with two partitions a topic, which nobody else uses."""
    own = DevelopmentBroker(tmp_path_factory.mktemp("grown"))
    with started(own):
        assert tessera("topics", "create", "--partitions", "2", kafka=own.bootstrap_servers).returncode == 0
        yield own.bootstrap_servers


def grow(kafka: str, topic: str, count: int) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_partitions([NewPartitions(topic, count)])[topic].result(30)


def states(kafka: str) -> dict[str, State]:
    verdicts = asyncio.run(inspect_kafka(Settings.read(bootstrap_servers=kafka, partitions=2)))
    return {verdict.check: verdict.state for verdict in verdicts}


def test_added_partitions_of_the_query_topic_are_worked_on(kafka_of_its_own: str, tmp_path: Path) -> None:
    # Given a query topic that has grown, and queries in the new partitions too
    kafka = kafka_of_its_own
    grow(kafka, QUERIES.name, 4)
    replies = Reader(kafka, [SETTLED.name])
    records = [make_query(number).to_record() for number in range(QUERIES_SENT)]
    produce(kafka, [(record.key, record.value, record.headers) for record in records])

    # Then doctor finds that the stage's positions have no room yet
    assert states(kafka)["topics"] is State.FAILED
    assert states(kafka)["first offsets"] is State.OK

    # When the stages start, every query gets its reply, and a warning names what gives the positions their room
    with worker(["generation", "scoring", "settlement"], kafka, tmp_path / "stages.log", partitions=2) as stages:
        settled = replies.until(lambda messages: len(messages) >= QUERIES_SENT)
    assert sorted(message.key() for message in settled) == sorted(record.key for record in records)
    for added in (2, 3):
        assert f"{QUERIES.name} partition {added}: {POSITIONS_OF_QUERIES} has no such partition" in stages.output()
    assert "Run `tessera topics create`, which adds the partition" in stages.output()

    # When a position is set by hand in one of them, the coordinator is told
    moved = tessera("offsets", "set", f"{QUERIES.name}/3/0", "--yes", kafka=kafka)
    assert moved.returncode == 0, moved.stderr

    # When they have it, and the stage starts again, its position is written in the added partitions too
    assert tessera("topics", "create", "--partitions", "2", kafka=kafka).returncode == 0
    assert states(kafka)["topics"] is State.OK
    with Reader(kafka, [POSITIONS_OF_QUERIES]) as positions:
        with worker(["generation"], kafka, tmp_path / "again.log", partitions=2):
            positions.until(lambda messages: {message.partition() for message in messages} >= {2, 3})
    again = tessera("topics", "create", "--partitions", "2", kafka=kafka)
    assert again.returncode == 0, again.stderr

    # When the new number is asked for, the first one is named
    other = tessera("topics", "create", "--partitions", "4", kafka=kafka)
    assert other.returncode == 2 and b"Ask for theirs: --partitions 2" in other.stderr


def test_added_partitions_of_a_deduplicated_topic_are_refused(kafka_of_its_own: str) -> None:
    kafka = kafka_of_its_own
    grow(kafka, SCORED.name, 3)
    refused = tessera("topics", "create", "--partitions", "2", kafka=kafka)
    assert refused.returncode == 2 and f"{SCORED.name} has 3, not 2".encode() in refused.stderr
    assert b"must be created anew with its first number" in refused.stderr
    assert states(kafka)["topics"] is State.FAILED
