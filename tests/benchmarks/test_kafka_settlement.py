"""The settlement stage on Kafka against a plain passthrough of the same records, in one run."""

import asyncio
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import OffsetAndMetadata

from schemas.envelope import Event
from schemas.reasons import DeadLetterReason
from schemas.topics import SCORED, SETTLED_QUERIES
from tests.benchmarks.auctions import scored_auctions
from tests.benchmarks.report import report
from tests.builders import Keys
from workers.cli.session import calm_collector
from workers.pipeline import Stage, StageSpec
from workers.settings import Settings
from workers.settlement import Settlement
from workers.stream.admin import create_topics, initialise_offsets
from workers.stream.clients import Clients
from workers.stream.cluster import TopicPlan
from workers.stream.kafka import KafkaBus

pytestmark = [pytest.mark.benchmark, pytest.mark.kafka]

DISTINCT = 200
RECORDS = 3_000
ROUNDS = 5
GROUP_COMMITS = (16, 64, 256)


@dataclass
class Count:
    """An observer that counts committed replies, from when the first record was settled.

    Not from the first commit: by then whole transactions are settled already, and their time would be left out.
    """

    expected: int
    began: float = 0.0
    settled: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def committed(self, events: Iterable[Event[Any]]) -> None:
        self.settled += 1
        if self.settled == self.expected:
            self.done.set()

    def refused(self, stage: str, reason: DeadLetterReason) -> None:
        raise AssertionError(reason)

    def handled(self, stage: str, duration_s: float) -> None:
        self.began = self.began or time.perf_counter()

    def transaction(self, stage: str, result: str, duration_s: float, auctions: int) -> None: ...
    def in_flight(self, stage: str, count: int) -> None: ...
    def rebalanced(self, stage: str) -> None: ...
    def producer_reopened(self, stage: str) -> None: ...
    def engine_down(self, stage: str, is_down: bool) -> None: ...
    def assigned(self, stage: str, ready: bool) -> None: ...


async def fill(kafka: str) -> None:
    """RECORDS scored events on the scored topic."""
    records = [event.to_record() for event in await scored_auctions(DISTINCT)]
    producer = AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=5, max_batch_size=256 * 1024)
    await producer.start()
    try:
        sent = []
        for number in range(RECORDS):
            record = records[number % DISTINCT]
            sent.append(
                await producer.send(
                    record.topic,
                    record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=number % 4,
                )
            )
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def passthrough_s(kafka: str, target: str) -> float:
    """Seconds per record of a plain loop: read a batch, write it, commit its offsets; no transaction."""
    consumer = AIOKafkaConsumer(
        SCORED.name,
        bootstrap_servers=kafka,
        group_id=f"passthrough-{uuid.uuid4()}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, max_batch_size=256 * 1024)
    await consumer.start()
    await producer.start()
    try:
        passed, began = 0, 0.0
        while passed < RECORDS:
            batches = await consumer.getmany(timeout_ms=200, max_records=500)
            began = began or (time.perf_counter() if batches else 0.0)
            for partition, records in batches.items():
                sent = [
                    await producer.send(target, record.value, key=record.key, headers=list(record.headers))
                    for record in records
                ]
                await asyncio.gather(*sent)
                await consumer.commit({partition: OffsetAndMetadata(records[-1].offset + 1, "")})
                passed += len(records)
        return (time.perf_counter() - began) / passed
    finally:
        await consumer.stop()
        await producer.stop()


async def settlement_s(kafka: str, auctions: int) -> float:
    """Seconds per record of the settlement stage, from a group of its own."""
    settings = Settings.read(bootstrap_servers=kafka, transaction_auctions=auctions)
    count, stop = Count(RECORDS), asyncio.Event()
    worker = Settlement(Keys())
    name = f"benchmark-{uuid.uuid4().hex[:8]}"
    spec = StageSpec(name, SCORED, (), False, lambda means: worker, remembers=SETTLED_QUERIES)
    await initialise_offsets(settings, {spec.group: SCORED.name})
    run = asyncio.create_task(KafkaBus(settings, count).run([Stage(spec, worker, 2 * auctions)], stop))
    try:
        await asyncio.wait([run, asyncio.create_task(count.done.wait())], return_when=asyncio.FIRST_COMPLETED)
        return (time.perf_counter() - count.began) / RECORDS
    finally:
        stop.set()
        await run


async def test_settlement_against_passthrough(kafka: str) -> None:
    target = f"passthrough.{uuid.uuid4().hex}"
    await create_topics(Settings.read(bootstrap_servers=kafka))
    async with Clients(Settings.read(bootstrap_servers=kafka)).cluster() as cluster:
        await cluster.create([TopicPlan(target, 4, 1, {})])
    await fill(kafka)
    calm_collector()  # as `tessera run` does
    await passthrough_s(kafka, target)  # the broker's own warm-up: the first round would flatter the ratio
    rounds = [await one_round(kafka, target) for _ in range(ROUNDS)]
    report("kafka-settlement", [summary(auctions, rounds) for auctions in GROUP_COMMITS])


async def one_round(kafka: str, target: str) -> dict[int, float]:
    """Seconds per record by auctions a transaction; under 0 the mean of a passthrough before and one after."""
    before = await passthrough_s(kafka, target)
    settled = {auctions: await settlement_s(kafka, auctions) for auctions in GROUP_COMMITS}
    return {0: (before + await passthrough_s(kafka, target)) / 2, **settled}


def summary(auctions: int, rounds: Sequence[Mapping[int, float]]) -> dict[str, object]:
    ratios = sorted(times[0] / times[auctions] for times in rounds)
    return {
        "auctions per transaction": auctions,
        "settled/s": 1 / median(times[auctions] for times in rounds),
        "passthrough/s": 1 / median(times[0] for times in rounds),
        "ratio": median(ratios),
        "least": ratios[0],
        "largest": ratios[-1],
    }
