"""What the pipeline adds to the model's own time: from producing a query to reading its reply, without load."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import quantiles

import pytest
from confluent_kafka import Message, Producer

from schemas.topics import GENERATED, QUERIES, SCORED, SETTLED
from tests.benchmarks.auctions import CANDIDATES
from tests.benchmarks.report import Scale
from tests.benchmarks.stages import prepare, three_stages
from tests.support.builders import make_query
from tests.support.kafka_client import Reader, of
from workers.devkafka import DevelopmentBroker

pytestmark = pytest.mark.kafka

PER_SECOND = 8
STAGES = {"generation": GENERATED.name, "scoring": SCORED.name, "settlement": SETTLED.name}


@dataclass(frozen=True)
class Journey:
    """When one query was produced, its stages' records were written, and its reply was read; milliseconds."""

    produced: float
    written: Mapping[str, float]  # by stage
    read: float

    def steps(self) -> dict[str, float]:
        """Milliseconds of each step: to a record's writing, and from the last one to its reading."""
        times = [self.produced, *self.written.values(), self.read]
        names = [*(f"to the record of {stage}" for stage in self.written), "to its reader"]
        steps = {name: after - before for name, (before, after) in zip(names, pairwise(times), strict=True)}
        return {**steps, "all": self.read - self.produced}


async def test_latency_added(scale: Scale, own_broker: DevelopmentBroker, tmp_path: Path) -> None:
    kafka = own_broker.bootstrap_servers
    queries, warm_up = scale((300, 20), (6, 2))
    await prepare(kafka, 4)
    with three_stages(own_broker, tmp_path, candidates=CANDIDATES), Reader(kafka, tuple(STAGES.values())) as reader:
        journeys = travel(kafka, reader, queries)
    steps = [journey.steps() for journey in journeys[warm_up:]]
    scale.report("latency-added", [summary(name, [step[name] for step in steps]) for name in steps[0]])


def travel(kafka: str, reader: Reader, queries: int) -> Sequence[Journey]:
    """One query after the other, at a steady pace; replies are read while the next query is due."""
    producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random", "linger.ms": 0})
    produced: dict[str, float] = {}
    read: dict[str, float] = {}
    began = time.monotonic()
    for number in range(queries):
        query = make_query(number)
        wait(reader, read, until=began + number / PER_SECOND)
        produced[query.subject] = 1_000 * time.time()
        producer.produce(QUERIES.name, key=query.subject, value=query.value)
        producer.poll(0)
    assert producer.flush(30) == 0
    while len(read) < queries:
        assert time.monotonic() < began + queries / PER_SECOND + 60, f"{len(read)} replies of {queries}"
        note(reader, read, 0.05)
    written = {
        stage: {key(one): one.timestamp()[1] for one in of(reader.messages, topic)} for stage, topic in STAGES.items()
    }
    return [
        Journey(at, {stage: found[id_] for stage, found in written.items()}, read[id_]) for id_, at in produced.items()
    ]


def wait(reader: Reader, read: dict[str, float], until: float) -> None:
    """Read what comes until then."""
    while (left_s := until - time.monotonic()) > 0:
        note(reader, read, left_s)


def note(reader: Reader, read: dict[str, float], timeout_s: float) -> None:
    """Take in one record, if one comes; of a reply, when that was."""
    known = len(reader.messages)
    reader.poll(timeout_s, most=1)
    for message in of(reader.messages[known:], SETTLED.name):
        read[key(message)] = 1_000 * time.time()


def key(message: Message) -> str:
    return (message.key() or b"").decode()


def summary(step: str, times_ms: Sequence[float]) -> dict[str, object]:
    cuts = quantiles(times_ms, n=100, method="inclusive")
    return {"step": step, "p50, ms": cuts[49], "p90, ms": cuts[89], "p99, ms": cuts[98], "largest, ms": max(times_ms)}
