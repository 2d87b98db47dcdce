"""What exactly-once costs: stages with few and many auctions a transaction, against plain loops over the same records.

A plain loop reads a batch, writes what follows from it and commits its offsets, without any transaction. `passthrough`
writes the record's own bytes, `settled` does settlement's work. The stage `copy` decodes a record and writes its bytes.
"""

import asyncio
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import OffsetAndMetadata

from schemas.envelope import Event, from_record
from schemas.payload import Payload
from schemas.reasons import DeadLetterReason
from schemas.record import Outgoing, Record
from schemas.settled import QuerySettled
from schemas.topics import CHARGED, SCORED, SETTLED_QUERIES, Topic
from schemas.topics import SETTLED as SETTLED_REPLIES
from tests.benchmarks.auctions import scored_auctions
from tests.benchmarks.report import Scale
from tests.benchmarks.stages import prepare
from tests.support.builders import Keys
from tests.support.kafka_client import produce, until_no_transaction
from tests.support.new_topics import make_topics
from workers.app.session import calm_collector
from workers.devkafka import DevelopmentBroker
from workers.operations.monitor import Monitor
from workers.settings import Settings
from workers.settlement import Settlement
from workers.stage import Stage, StageSpec, Worker
from workers.stream.admin.first_offsets import initialise_offsets
from workers.stream.admin.plans import planned_topics
from workers.stream.connection.admin_client import TopicPlan
from workers.stream.connection.clients import Clients
from workers.stream.kafka import KafkaBus
from workers.stream.reader import as_record

pytestmark = pytest.mark.kafka

PASSTHROUGH, SETTLED = "plain: passthrough", "plain: settled"
PARTITIONS = 4
RECORDS = 3_000
ROUNDS = 3
GROUP_COMMITS = {1: 400, 10: 2_000, 100: RECORDS, 256: RECORDS}  # auctions a transaction: records measured


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock and seconds of this process's CPU: two moments, or of one record."""

    wall_s: float
    cpu_s: float

    def until(self, end: "Cost", records: int) -> "Cost":
        return Cost((end.wall_s - self.wall_s) / records, (end.cpu_s - self.cpu_s) / records)


def now() -> Cost:
    return Cost(time.perf_counter(), time.process_time())


class Count(Monitor):
    """An observer that counts inputs whose transactions are committed, from when the first one was worked on.

    Not from the first commit: by then whole transactions are worked on already, and their time would be left out.
    """

    def __init__(self, stage: str, expected: int) -> None:
        super().__init__(stages=(stage,), currency="USD", engine="none")
        self.began: Cost | None = None
        self.done, self._left = asyncio.Event(), expected

    def committed(self, events: Iterable[Event[Any]]) -> None:
        self._left -= 1
        if self._left == 0:
            self.done.set()

    def refused(self, stage: str, reason: DeadLetterReason) -> None:
        raise AssertionError(reason)

    def handled(self, stage: str, duration_s: float) -> None:
        self.began = self.began or now()
        super().handled(stage, duration_s)


async def fill(kafka: str, records: int) -> None:
    """So many scored auctions on the scored topic, each of another query."""
    produced = [event.to_record() for event in await scored_auctions(records)]
    produce(kafka, ((one.key, one.value, one.headers) for one in produced), SCORED.name)


Follow = Callable[[Record], Awaitable[Iterable[Outgoing]]]


@dataclass(frozen=True)
class Copy:
    """A stage that does nothing: the event's own bytes, to another topic."""

    to: Payload

    async def handle(self, event: Event[Any]) -> Sequence[Event[Payload]]:
        return (replace(event, data=self.to),)


@dataclass(frozen=True)
class SettlingAnew(Settlement):
    """Settlement that remembers in a topic of its own: in the product's, an earlier run has settled everything."""

    memory: type[QuerySettled] = QuerySettled

    async def handle(self, event: Event[Any]) -> Sequence[Event[Any]]:
        *outcome, used = await super().handle(event)
        return (*outcome, replace(used, data=self.memory(**dict(used.data))))


def plain_settling() -> Follow:
    """Settlement's work on a record, for a plain loop."""
    worker = Settlement(Keys())

    async def follow(record: Record) -> Iterable[Outgoing]:
        return [event.to_record() for event in await worker.handle(from_record(record, SCORED))]

    return follow


def plain_copying(target: str) -> Follow:
    async def follow(record: Record) -> Iterable[Outgoing]:
        return (Outgoing(target, record.key, record.value, record.headers),)

    return follow


async def plain(kafka: str, follow: Follow, wanted: int) -> Cost:
    """Of one record in a plain loop: read a batch, write what follows, commit its offsets; no transaction."""
    consumer = AIOKafkaConsumer(
        SCORED.name,
        bootstrap_servers=kafka,
        group_id=f"plain-{uuid.uuid4()}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, max_batch_size=256 * 1024)
    await consumer.start()
    await producer.start()
    try:
        passed, began = 0, None
        while passed < wanted:
            batches = await consumer.getmany(timeout_ms=200, max_records=500)
            began = began or (now() if batches else None)
            for partition, records in batches.items():
                sent = [
                    await producer.send(out.topic, out.value, key=out.key, headers=list(out.headers))
                    for record in records
                    for out in await follow(as_record(record))
                ]
                await asyncio.gather(*sent)
                await consumer.commit({partition: OffsetAndMetadata(records[-1].offset + 1, "")})
                passed += len(records)
        return began.until(now(), passed)
    finally:
        await consumer.stop()
        await producer.stop()


async def staged(kafka: str, worker: Worker, remembers: Topic | None, auctions: int, records: int) -> Cost:
    """Of one record in a stage, exactly once, from a group of its own; `auctions` in a transaction."""
    await asyncio.to_thread(until_no_transaction, kafka, (SETTLED_QUERIES.name, SETTLED_REPLIES.name, CHARGED.name))
    settings = Settings.read(bootstrap_servers=kafka, transaction_auctions=auctions)
    name = f"benchmark-{uuid.uuid4().hex[:8]}"
    count, stop = Count(name, records), asyncio.Event()
    spec = StageSpec(name, SCORED, (remembers,) if remembers else (), lambda means: worker, remembers=remembers)
    async with Clients(settings).cluster() as cluster:
        await make_topics(cluster, [TopicPlan(spec.positions, PARTITIONS, 1, {"cleanup.policy": "compact"})])
    await initialise_offsets(settings, {spec.group: SCORED.name})
    run = asyncio.create_task(KafkaBus(settings, count).run([Stage(spec, worker, 2 * auctions)], stop))
    try:
        await asyncio.wait([run, asyncio.create_task(count.done.wait())], return_when=asyncio.FIRST_COMPLETED)
        return count.began.until(now(), records) if count.done.is_set() and count.began else Cost(math.inf, math.inf)
    finally:
        stop.set()
        await run


async def test_exactly_once_cost(scale: Scale, own_broker: DevelopmentBroker) -> None:
    kafka, records, group_commits = own_broker.bootstrap_servers, scale(RECORDS, 40), scale(GROUP_COMMITS, {10: 40})
    await prepare(kafka, PARTITIONS)
    target = await new_topic(kafka, "passthrough")
    await fill(kafka, records)
    calm_collector()  # as `tessera run` does
    await plain(kafka, plain_copying(target), records)  # the broker's own warm-up: the first would flatter the ratio
    rounds = [await one_round(kafka, target, records, group_commits) for _ in range(scale(ROUNDS, 1))]
    scale.report("exactly-once-cost", [summary(name, rounds) for name in rounds[0]])


async def new_topic(kafka: str, name: str) -> str:
    """A topic that nobody has written to, with the settings that the product plans for one of that name."""
    topic, settings = f"{name}.{uuid.uuid4().hex}", Settings.read(bootstrap_servers=kafka)
    planned = {plan.name: plan.configs for plan in planned_topics(settings)}
    async with Clients(settings).cluster() as cluster:
        await make_topics(cluster, [TopicPlan(topic, PARTITIONS, 1, planned.get(name, {}))])
    return topic


async def one_round(kafka: str, target: str, records: int, group_commits: Mapping[int, int]) -> dict[str, Cost]:
    """What one record costs each loop; the passthrough's is the mean of one before the others and one after."""
    before = await plain(kafka, plain_copying(target), records)
    settled = await plain(kafka, plain_settling(), records)
    copied: dict[str, Cost] = {}
    for auctions, wanted in group_commits.items():
        copy = Copy(type("Copied", (Payload,), {"event_type": target, "__module__": __name__})())
        copied[f"stage `copy`, {auctions} a transaction"] = await staged(kafka, copy, None, auctions, wanted)
        memory = await new_topic(kafka, SETTLED_QUERIES.name)
        used = type("Used", (QuerySettled,), {"event_type": memory, "__module__": __name__})
        remembers = replace(SETTLED_QUERIES, payload=used)
        worker = SettlingAnew(Keys(), memory=used)
        copied[f"stage `settlement`, {auctions} a transaction"] = await staged(
            kafka, worker, remembers, auctions, wanted
        )
    after = await plain(kafka, plain_copying(target), records)
    passthrough = Cost((before.wall_s + after.wall_s) / 2, (before.cpu_s + after.cpu_s) / 2)
    return {PASSTHROUGH: passthrough, SETTLED: settled, **copied}


def summary(name: str, rounds: Sequence[Mapping[str, Cost]]) -> dict[str, object]:
    """Rates against those of the two plain loops in the same round, each the median of all rounds."""
    ratios = sorted(costs[PASSTHROUGH].wall_s / costs[name].wall_s for costs in rounds)
    return {
        "loop": name,
        "records/s": 1 / median(costs[name].wall_s for costs in rounds),
        "of passthrough": median(ratios),
        "least": ratios[0],
        "largest": ratios[-1],
        "of plain settling": median(costs[SETTLED].wall_s / costs[name].wall_s for costs in rounds),
        "client CPU, µs": 1e6 * median(costs[name].cpu_s for costs in rounds),
    }
