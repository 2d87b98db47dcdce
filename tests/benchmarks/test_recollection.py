"""What settlement's memory costs: seconds to read it when a partition is opened, bytes in memory and in the log."""

import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.record import Record
from schemas.settled import QuerySettled
from schemas.topics import FOR_EVER, MEBIBYTE, SCORED, SETTLED_QUERIES, Topic
from tests.benchmarks.auctions import scored_auctions
from tests.benchmarks.report import Scale
from tests.builders import Keys, make_record, make_scored
from workers.known_ids import KnownIds
from workers.monitor import Monitor
from workers.pipeline import STAGES, Stage, StageSpec
from workers.settings import Settings
from workers.settlement import Settlement, settle_event
from workers.stream.clients import Clients
from workers.stream.cluster import TopicPlan
from workers.stream.once import Once
from workers.stream.recollection import recollect
from workers.stream.step import process


def used(payload: type[QuerySettled], number: int) -> QuerySettled:
    digest = sha256(str(number).encode()).hexdigest()
    return payload(query_id=f"{digest[:8]}-{digest[8:12]}-{digest[12:24]}", auction_id=digest, settled_sha256=digest)


async def fill(kafka: str, payload: type[QuerySettled], ids: int) -> int:
    """Events with all their headers; bytes of keys, values and headers."""
    scored, size = make_scored(), 0
    producer = AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=5, max_batch_size=256 * 1024)
    await producer.start()
    try:
        (*_, like) = await Settlement(Keys()).handle(scored)
        headers = list(like.to_record().headers)
        for number in range(ids):
            data = used(payload, number)
            value, key = data.encode(), data.query_id.encode()
            own = [(name, payload.event_type.encode() if name == "ce_type" else held) for name, held in headers]
            size += len(value) + len(key) + sum(len(name) + len(held or b"") for name, held in own)
            await producer.send(payload.event_type, value, key=key, headers=own)
    finally:
        await producer.stop()
    return size


@pytest.mark.kafka
async def test_opening_a_partition(scale: Scale, kafka: str) -> None:
    ids = scale(200_000, 200)
    payload = type("Used", (QuerySettled,), {"event_type": f"test.{uuid.uuid4().hex}", "__module__": __name__})
    topic = Topic(payload, "query_id", FOR_EVER, 1, MEBIBYTE, cleanup="compact")
    asked = Topic(
        type("Asked", (SCORED.payload,), {"event_type": f"{topic.name}.asked"}), "query_id", FOR_EVER, 1, MEBIBYTE
    )
    async with Clients(Settings.read(bootstrap_servers=kafka)).cluster() as cluster:
        await cluster.create([TopicPlan(each.name, 1, 1, {}) for each in (topic, asked)])
    spec = StageSpec("benchmark", asked, (), False, lambda means: Settlement(Keys()), remembers=topic)
    settings = Settings.read(bootstrap_servers=kafka)

    began = time.perf_counter()
    await recollect(Clients(settings), spec, 0)
    empty_s = time.perf_counter() - began
    size = await fill(kafka, payload, ids)
    began = time.perf_counter()
    once = await recollect(Clients(settings), spec, 0)
    full_s = time.perf_counter() - began

    assert len(once) == ids
    row = {
        "ids": ids,
        "opening, empty, s": empty_s,
        "opening, s": full_s,
        "ids/s": ids / full_s,
        "bytes per record": size / ids,
    }
    scale.report("recollection", [row])


@dataclass(frozen=True)
class Forgetful(Settlement):
    """Settlement that does not say which query it has settled."""

    async def handle(self, event: Event[CandidatesScored]) -> Sequence[Event[Any]]:
        return settle_event(event, await self.keys.key(event.data.draw_epoch))


async def cpu_s(worker: Settlement, remembers: Topic | None, records: Sequence[Record], rounds: int) -> float:
    """Seconds of CPU from one record to the records it leads to: the least of all rounds."""
    monitor = Monitor(stages=("settlement",), currency="USD", engine="none")
    stage, least = Stage(STAGES["settlement"], worker, 1), math.inf
    for _ in range(rounds):
        once, began = Once(remembers), time.process_time()
        for record in records:
            list((await process(stage, record, monitor, once)).outgoing)  # encoded as it is sent
        least = min(least, time.process_time() - began)
    return least / len(records)


async def test_one_auction(scale: Scale) -> None:
    distinct, rounds = scale((100, 10), (4, 1))
    records = [make_record(event) for event in await scored_auctions(distinct)]
    without_s = await cpu_s(Forgetful(Keys()), None, records, rounds)
    with_s = await cpu_s(Settlement(Keys()), SETTLED_QUERIES, records, rounds)
    scale.report("once", [{"without memory, µs": 1e6 * without_s, "with memory, µs": 1e6 * with_s}])


def test_the_table_of_ids(scale: Scale) -> None:
    known, ids = KnownIds(), scale(1_000_000, 1_000)
    began = time.perf_counter()
    slowest_s = 0.0
    for number in range(ids):
        one_began = time.perf_counter()
        known.add(f"query-{number}", "auction")
        slowest_s = max(slowest_s, time.perf_counter() - one_began)
    row = {
        "ids": ids,
        "adding, µs": 1e6 * (time.perf_counter() - began) / ids,
        "slowest, ms": 1e3 * slowest_s,
        "bytes per id": known.bytes_held / ids,
    }
    scale.report("known-ids", [row])
