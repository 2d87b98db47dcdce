"""What settlement's memory costs: seconds to read it when a partition is opened, bytes in memory and in the log."""

import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.record import Record
from schemas.settled import QuerySettled
from schemas.topics import FOR_EVER, MEBIBYTE, SETTLED_QUERIES, Topic
from tests.benchmarks.auctions import scored_auctions
from tests.benchmarks.report import Scale
from tests.support.builders import Keys, make_record, make_scored
from tests.support.new_topics import make_topics
from workers.id_set import KnownIds
from workers.operations.monitor import Monitor
from workers.pipeline import STAGES
from workers.settings import Settings
from workers.settlement import Settlement, settle_event
from workers.stage import Stage
from workers.stream.connection.admin_client import TopicPlan
from workers.stream.connection.clients import Clients
from workers.stream.deduplication.deduplicator import Once
from workers.stream.deduplication.restore import Restore
from workers.stream.deduplication.rocks import RocksStore
from workers.stream.deduplication.window import Window
from workers.stream.processing import process
from workers.stream.wire.partitioner import Placement

WINDOW = Window(timedelta(days=7))


def used(payload: type[QuerySettled], number: int) -> QuerySettled:
    digest = sha256(str(number).encode()).hexdigest()
    id_ = f"{digest[:8]}-{digest[8:12]}-{digest[12:24]}"
    return payload(query_id=id_, auction_id=digest, settled_sha256=digest, scored_sha256=digest)


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
async def test_opening_a_partition(scale: Scale, kafka: str, tmp_path: Path) -> None:
    ids = scale(400_000, 200)
    payload = type("Used", (QuerySettled,), {"event_type": f"test.{uuid.uuid4().hex}", "__module__": __name__})
    topic, clients = Topic(payload, "query_id", FOR_EVER, 1, MEBIBYTE), Clients(Settings.read(bootstrap_servers=kafka))
    async with clients.cluster() as cluster:
        kept_for_ever = {"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"}
        await make_topics(cluster, [TopicPlan(topic.name, 1, 1, kept_for_ever)])
    size = await fill(kafka, payload, ids)

    async def opened() -> tuple[float, float, int]:
        """Seconds and CPU seconds of an opening with what is on disk, and the records it has read."""
        began, cpu = time.perf_counter(), time.process_time()
        store = RocksStore(tmp_path, topic.name, WINDOW.segment_ms)
        restore = Restore(topic, 0, Placement(topic.name, 1), store, WINDOW)
        await restore.run(clients)
        spent = time.perf_counter() - began, time.process_time() - cpu, restore.records_read
        assert store.get(used(payload, ids - 1).query_id) and not store.get("nobody's")
        store.close()
        return spent

    cold_s, cold_cpu_s, cold_read = await opened()
    warm_s, _, warm_read = await opened()

    assert (cold_read, warm_read) == (ids, 0)
    row = {
        "ids": ids,
        "without the disk, s": cold_s,
        "ids/s": ids / cold_s,
        "CPU µs per id": 1e6 * cold_cpu_s / ids,
        "with it, s": warm_s,
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
        known.add(f"query-{number}")
        slowest_s = max(slowest_s, time.perf_counter() - one_began)
    row = {
        "ids": ids,
        "adding, µs": 1e6 * (time.perf_counter() - began) / ids,
        "slowest, ms": 1e3 * slowest_s,
        "bytes per id": known.bytes_held / ids,
    }
    scale.report("known-ids", [row])
