"""Committed offsets that are gone: what our own advice says is followed, and nobody is billed twice."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient

from schemas.topics import CHARGED, GENERATED, SETTLED, SETTLED_QUERIES
from tests.integration.test_kill import query
from tests.support.kafka_client import DEAD_LETTERS, EVERYTHING, Reader, of, produce, until_no_transaction
from tests.support.own_node import started
from tests.support.worker_process import WorkerProcess, tessera, worker
from workers.devkafka import DevelopmentBroker
from workers.pipeline import PATH, STAGES

pytestmark = pytest.mark.kafka

AUCTIONS = 40
GROUPS = [STAGES[name].group for name in PATH]


@pytest.fixture
def kafka_of_its_own(session_broker: DevelopmentBroker, tmp_path: Path) -> Iterator[str]:
    """A broker whose groups nobody else needs. (The session's: Java is there, and the jars are.)"""
    own = DevelopmentBroker(tmp_path / "own")
    with started(own):
        assert tessera("topics", "create", "--partitions", "2", kafka=own.bootstrap_servers).returncode == 0
        yield own.bootstrap_servers


def ask(kafka: str, *ids: str) -> None:
    produce(kafka, [(id_.encode(), query(id_), ()) for id_ in ids])


def forget_offsets(kafka: str) -> None:
    """As Kafka does for a group that nobody was in for offsets.retention.minutes."""
    until_no_transaction(kafka, [*EVERYTHING])
    admin = AdminClient({"bootstrap.servers": kafka})
    for deleted in admin.delete_consumer_groups(GROUPS).values():
        deleted.result(30)


def lose_positions(kafka: str) -> None:
    """As in a cluster that was restored from copies of the events alone."""
    forget_offsets(kafka)
    admin, names = AdminClient({"bootstrap.servers": kafka}), [STAGES[name].positions for name in PATH]
    for deleted in admin.delete_topics(names).values():
        deleted.result(30)


def metric(stage: WorkerProcess, name: str) -> int:
    with urllib.request.urlopen(f"{stage.url()}/metrics", timeout=5) as answer:  # noqa: S310  # our own worker on loopback
        text = answer.read().decode()
    return sum(int(float(value)) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def charges(messages: list[Message]) -> list[bytes | None]:
    return sorted(message.value() or b"" for message in of(messages, CHARGED.name))


def test_whichever_start_offset_is_chosen_no_auction_is_settled_or_billed_twice(
    kafka_of_its_own: str, tmp_path: Path
) -> None:
    kafka, settings = kafka_of_its_own, {"partitions": 2}
    with Reader(kafka) as reader:
        # Given 40 settled auctions
        with worker(PATH, kafka, tmp_path / "first.log", **settings) as stages:
            ask(kafka, *(f"q{number}" for number in range(AUCTIONS)))
            reader.until(lambda messages: len(of(messages, SETTLED.name)) == AUCTIONS)
            reader.rest(1.0)
            assert metric(stages, "auction_revenue_micros_total") > 0
        bills = charges(reader.messages)

        # When the groups' offsets are forgotten, then nobody is asked: stages go on from their own logs
        forget_offsets(kafka)
        assert tessera("topics", "create", kafka=kafka, **settings).returncode == 0
        described = tessera("topics", "describe", "--json", kafka=kafka, **settings).stdout.splitlines()
        lags = {one["group"]: one["lag_records"] for row in described for one in json.loads(row)["groups"]}
        assert all(lags[group] is not None for group in GROUPS), lags
        with worker(PATH, kafka, tmp_path / "forgotten.log", **settings):
            ask(kafka, "new-0")
            reader.until(lambda messages: len(of(messages, SETTLED.name)) > AUCTIONS)
            reader.rest(1.0)
        assert len(of(reader.messages, GENERATED.name)) == AUCTIONS + 1
        bills = charges(reader.messages)

        # When the logs are gone as well, a stage does not start and names the command, which asks and says why
        lose_positions(kafka)
        missing = tessera("run", *PATH, kafka=kafka, **settings)
        assert missing.returncode == 2 and b"Run `tessera topics create`" in missing.stderr, missing.stderr
        tessera("topics", "create", kafka=kafka, **settings)
        refused = tessera("run", *PATH, kafka=kafka, **settings)
        assert refused.returncode == 2 and b"`tessera topics create`" in refused.stderr, refused.stderr
        asked = tessera("topics", "create", kafka=kafka, **settings)
        assert asked.returncode == 2 and asked.stderr.count(b"committed: none; input begins at 0, ends at") >= 3
        assert all(f"--begin {way} ".encode() in asked.stderr for way in ("earliest", "latest", "after-last-settled"))

        # and the choice that works on everything again is made, then nothing is settled again
        assert tessera("topics", "create", "--begin", "earliest", kafka=kafka, **settings).returncode == 0
        with worker(PATH, kafka, tmp_path / "second.log", **settings) as stages:
            ask(kafka, "new-1")
            reader.until(lambda messages: len(of(messages, SETTLED.name)) > AUCTIONS + 1)
            reader.rest(2.0)
            again = metric(stages, "auction_repeated_total")
            revenue = metric(stages, "auction_revenue_micros_total")
        new = [bill for bill in charges(reader.messages) if bill not in bills]
        assert len(of(reader.messages, SETTLED.name)) == AUCTIONS + 2
        assert len(charges(reader.messages)) == len(bills) + len(new) and len(new) == len({*new})
        assert revenue == sum(int(re.findall(rb'"charge_micros":(\d+)', bill or b"")[0]) for bill in new)
        assert again >= AUCTIONS

        # When they are gone once more, and stages go on behind the last outcome, then not even model time is wasted
        lose_positions(kafka)
        before = list(reader.messages)
        ask(kafka, "new-2")
        chosen = tessera("topics", "create", "--begin", "after-last-settled", kafka=kafka, **settings)
        assert chosen.returncode == 0, chosen.stderr
        with worker(PATH, kafka, tmp_path / "third.log", **settings):
            reader.until(lambda messages: len(of(messages, SETTLED.name)) == AUCTIONS + 3)
            reader.rest(2.0)
        assert len(of(reader.messages, GENERATED.name)) == len(of(before, GENERATED.name)) + 1
        assert len(of(reader.messages, *DEAD_LETTERS)) == len(of(before, *DEAD_LETTERS))

        # When the memory of what is settled is gone as well, then nothing is worked on again, and doctor says so
        lose_positions(kafka)
        admin = AdminClient({"bootstrap.servers": kafka})
        admin.delete_topics([SETTLED_QUERIES.name])[SETTLED_QUERIES.name].result(30)
        lost = tessera("topics", "create", "--begin", "earliest", kafka=kafka, **settings)
        assert lost.returncode == 2 and b"the memory of what is settled is gone" in lost.stderr, lost.stderr
        assert b"the memory of what is settled is gone" in b" ".join(
            tessera("doctor", "--kafka", "--json", kafka=kafka, **settings).stdout.split()
        )
        assert tessera("topics", "create", "--begin", "latest", kafka=kafka, **settings).returncode == 0
