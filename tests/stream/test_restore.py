"""Restoring the ids of a partition from a real Kafka: what is read, what is believed, and what may be settled then."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Event
from schemas.reasons import DeadLetterReason
from schemas.settled import QuerySettled
from schemas.topics import FOR_EVER, MEBIBYTE, Topic
from tests.support.builders import make_scored
from tests.support.new_topics import make_topics
from workers.devkafka import DevelopmentBroker
from workers.errors import BrokerError, Refused, Unsuitable
from workers.settings import Settings
from workers.stream.connection.admin_client import TopicPlan
from workers.stream.connection.clients import Clients
from workers.stream.deduplication.deduplicator import Once
from workers.stream.deduplication.restore import Restore
from workers.stream.deduplication.rocks import RocksStore
from workers.stream.deduplication.store import Remembered, Store
from workers.stream.deduplication.window import Window
from workers.stream.wire.partitioner import Placement

WINDOW = Window(timedelta(days=7))
DIGEST = "d" * 64
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", fullmatch=True)


@dataclass
class Log:
    """A topic of settled ids with one partition on the session's broker."""

    kafka: str
    name: str = field(default_factory=lambda: f"test.{uuid.uuid4().hex}")

    def __post_init__(self) -> None:
        payload = type("Used", (QuerySettled,), {"event_type": self.name, "__module__": __name__})
        self.topic = Topic(payload, "query_id", FOR_EVER, 1, MEBIBYTE)
        self.clients = Clients(Settings.read(bootstrap_servers=self.kafka))

    async def create(self, kept_ms: int = -1) -> None:
        """Its records are deleted by hand alone, or when they are older than this."""
        configs = {"message.timestamp.type": "LogAppendTime", "retention.ms": str(kept_ms)}
        async with self.clients.cluster() as cluster:
            await make_topics(cluster, [TopicPlan(self.name, 1, 1, configs)])

    async def write(self, names: Iterable[str], *, commit: bool = True, value: bytes | None = None) -> None:
        """In one transaction."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, transactional_id=self.name)
        await producer.start()
        try:
            await producer.begin_transaction()
            for id_ in names:
                used = value or QuerySettled(query_id=id_, auction_id=DIGEST, settled_sha256=DIGEST).encode()
                await producer.send(self.name, used, key=id_.encode())
            await (producer.commit_transaction() if commit else producer.abort_transaction())
        finally:
            await producer.stop()

    async def delete_below(self, offset: int) -> None:
        """As retention does."""
        admin = AdminClient({"bootstrap.servers": self.kafka})
        (deleted,) = admin.delete_records([TopicPartition(self.name, 0, offset)]).values()
        await asyncio.to_thread(deleted.result)

    def restore(self, store: Store, window: Window = WINDOW) -> Restore:
        return Restore(self.topic, 0, Placement(self.name, 1), store, window)


@pytest.fixture
async def log(kafka: str) -> Log:
    made = Log(kafka)
    await made.create()
    return made


def on_disk(folder: Path) -> RocksStore:
    return RocksStore(folder, "ids", WINDOW.segment_ms)


def some(first: int, count: int) -> list[str]:
    return [f"q{number}" for number in range(first, first + count)]


async def restored(log: Log, folder: Path) -> tuple[RocksStore, int]:
    """The store in the folder, up to date, and how many records were read for it."""
    store = on_disk(folder)
    restore = log.restore(store)
    await restore.run(log.clients)
    return store, restore.records_read


@pytest.mark.kafka
async def test_a_restore_from_the_same_disk_reads_only_the_tail(log: Log, tmp_path: Path) -> None:
    await log.write(some(0, 300))
    store, read = await restored(log, tmp_path)
    store.close()
    assert read == 300

    await log.write(some(300, 7))
    store, read = await restored(log, tmp_path)

    assert read == 7
    assert all(store.get(id_) == Remembered(DIGEST, None) for id_ in some(0, 307))
    store.close()


@pytest.mark.kafka
async def test_ids_of_aborted_transactions_are_not_restored(log: Log, tmp_path: Path) -> None:
    await log.write(["a"])
    await log.write(["b"], commit=False)
    store, read = await restored(log, tmp_path)
    await log.write(["c"], commit=False)
    await log.restore(store).run(log.clients)

    assert store.get("a") and not store.get("b") and not store.get("c")
    assert read == 1
    store.close()


@pytest.mark.kafka
@pytest.mark.parametrize("records", [0, 2, 9], ids=["empty", "shorter", "longer"])
async def test_a_store_is_rebuilt_when_its_topic_was_recreated(
    log: Log, tmp_path: Path, records: int, caplog: pytest.LogCaptureFixture
) -> None:
    await log.write(some(0, 5))
    store, _ = await restored(log, tmp_path)
    anew = Log(log.kafka)
    await anew.create()
    if records:
        await anew.write(some(100, records))

    await anew.restore(store).run(anew.clients)

    assert not any(map(store.get, some(0, 5)))
    assert all(map(store.get, some(100, records)))
    assert "does not have the record that the store on disk has read last, at offset 4" in caplog.text
    store.close()


@pytest.mark.kafka
async def test_a_store_behind_the_retained_part_of_its_topic_is_rebuilt(log: Log, tmp_path: Path) -> None:
    await log.write(some(0, 5))
    store, _ = await restored(log, tmp_path)
    await log.write(some(5, 5))
    await log.delete_below(6)  # the fifth is a marker

    restore = log.restore(store)
    await restore.run(log.clients)

    assert restore.records_read == 5
    assert store.checkpoint.horizon_ms > 0
    store.close()


async def outcome(once: Once, event: Event[Any]) -> DeadLetterReason | None:
    async def settled(_: Event[Any]) -> tuple[()]:
        return ()

    try:
        await once.work(event, settled)
    except Refused as refusal:
        return refusal.reason
    return None


@pytest.mark.kafka
async def test_a_query_older_than_the_id_window_is_not_settled_again(log: Log, tmp_path: Path) -> None:
    """Its record is deleted; the query that may bring it again is as old, and so is what came a window later."""
    await log.write(["forgotten"])
    await log.write(["kept"])
    await log.delete_below(2)
    store, _ = await restored(log, tmp_path)
    once = Once(log.topic, store, WINDOW, Placement(log.name, 1))

    horizon = datetime.fromtimestamp(store.checkpoint.horizon_ms / 1_000).astimezone()
    scored = make_scored()

    async def asked(since_horizon: timedelta, query_id: str = "forgotten") -> DeadLetterReason | None:
        data = scored.data.model_copy(update={"query_id": query_id, "received_at": horizon + since_horizon})
        return await outcome(once, replace(scored, data=data, recorded_at=horizon + timedelta(days=100)))

    assert await asked(-timedelta(days=3)) is DeadLetterReason.EXPIRED
    assert await asked(timedelta(0)) is DeadLetterReason.EXPIRED
    assert await asked(WINDOW.length) is DeadLetterReason.EXPIRED
    assert await asked(WINDOW.length + timedelta(hours=3)) is None
    assert await asked(timedelta(0), "kept") is DeadLetterReason.DUPLICATE_QUERY  # what is known is told as before
    store.close()


@pytest.mark.kafka
async def test_old_queries_are_settled_where_no_id_was_ever_deleted(log: Log, tmp_path: Path) -> None:
    await log.write(["a"])
    store, _ = await restored(log, tmp_path)
    once = Once(log.topic, store, WINDOW, Placement(log.name, 1))

    assert store.checkpoint.horizon_ms == 0
    assert await outcome(once, make_scored()) is None
    store.close()


@pytest.mark.kafka
async def test_after_a_pause_in_traffic_new_queries_are_settled_and_old_ones_refused(
    kafka: str, tmp_path: Path
) -> None:
    """All ids from before the pause were deleted for their age: what is left begins a moment ago."""
    log = Log(kafka)
    await log.create(WINDOW.kept_ms)
    await log.write(["long-ago"])
    await log.delete_below(1)  # as retention does
    idle, _ = await restored(log, tmp_path)
    await log.write(["a"])
    await log.restore(idle).run(log.clients)
    anew, _ = await restored(log, tmp_path / "another disk")

    scored, now = make_scored(), datetime.now(UTC)
    for store in (idle, anew):
        once = Once(log.topic, store, WINDOW, Placement(log.name, 1))
        fresh = replace(scored, data=scored.data.model_copy(update={"received_at": now}), recorded_at=now)
        old = now - WINDOW.length - timedelta(days=1)
        late = replace(scored, data=scored.data.model_copy(update={"received_at": old}), recorded_at=now)
        assert await outcome(once, late) is DeadLetterReason.EXPIRED
        assert await outcome(once, fresh) is None
        store.close()


@pytest.mark.kafka
async def test_a_store_restored_from_a_trimmed_topic_claims_no_more_than_the_topic_holds(
    kafka: str, tmp_path: Path
) -> None:
    """A restored cluster's topics begin at offset 0; its scored events reach back for months."""
    copy = Log(kafka)
    await copy.create(WINDOW.kept_ms)
    await copy.write(["copied"])
    store, _ = await restored(copy, tmp_path)
    once = Once(copy.topic, store, WINDOW, Placement(copy.name, 1))

    now = datetime.now(UTC)
    scored, long_ago = make_scored(), now - timedelta(days=60)
    billed_then = replace(scored, data=scored.data.model_copy(update={"received_at": long_ago}), recorded_at=now)

    assert await outcome(once, billed_then) is DeadLetterReason.EXPIRED
    store.close()


@pytest.mark.kafka
async def test_a_topic_with_short_retention_settles_only_queries_it_would_remember(kafka: str, tmp_path: Path) -> None:
    log = Log(kafka)
    kept = WINDOW.length + timedelta(days=1)
    await log.create(kept // timedelta(milliseconds=1))
    await log.write(["long-ago"])
    await log.delete_below(1)
    for after in ("nothing", "one"):
        store, _ = await restored(log, tmp_path / after)
        forgotten = datetime.now(UTC) - kept
        assert abs(datetime.fromtimestamp(store.checkpoint.horizon_ms / 1_000, UTC) - forgotten) < timedelta(minutes=5)
        store.close()
        await log.write(["a"])


@pytest.mark.kafka
async def test_a_topic_that_forgets_before_any_query_is_old_enough_is_refused(kafka: str, tmp_path: Path) -> None:
    """With Kafka's own 7 days each record would be EXPIRED, those that are asked now too."""
    log = Log(kafka)
    await log.create(WINDOW.length // timedelta(milliseconds=1))
    store = on_disk(tmp_path)

    with pytest.raises(Unsuitable, match=f"--entity-name {log.name} --add-config retention.ms={WINDOW.kept_ms}` "):
        await log.restore(store).run(log.clients)
    store.close()


@pytest.mark.kafka
async def test_ids_outside_the_window_are_dropped_from_the_disk(log: Log, tmp_path: Path) -> None:
    brief = Window(-timedelta(hours=12) + timedelta(milliseconds=250))  # held for half a second and a segment of it
    store = on_disk(tmp_path)
    for id_ in ("a", "b"):
        await log.write([id_])
        await log.restore(store, brief).run(log.clients)
        await asyncio.sleep(1.2)
    assert store.get("b") and store.checkpoint.horizon_ms > 0
    store.close()


@pytest.mark.kafka
async def test_of_an_unbounded_topic_only_the_window_is_restored(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.write(some(0, 20))
    await asyncio.sleep(1.5)
    later_ms = int(time.time() * 1_000)
    await log.write(some(20, 3))
    brief = Window(-timedelta(hours=12) + timedelta(milliseconds=300))  # held for 0.6 s
    monkeypatch.setattr(Restore, "_now_ms", staticmethod(lambda: later_ms))  # however long all this takes
    store = on_disk(tmp_path)

    restore = log.restore(store, brief)
    await restore.run(log.clients)

    assert restore.records_read == 3
    assert store.get("q20") and not store.get("q0") and store.checkpoint.horizon_ms > 0
    store.close()


@pytest.mark.kafka
async def test_a_foreign_record_behind_the_checkpoint_is_noticed(log: Log, tmp_path: Path) -> None:
    await log.write(["a"])
    store, _ = await restored(log, tmp_path)
    await log.write(["b"], value=b'{"query_id":"b"}')

    with pytest.raises(BrokerError, match=rf"{log.name} partition 0 offset 2: BAD_SCHEMA: .*Somebody else wrote it"):
        await log.restore(store).run(log.clients)
    store.close()


@contextlib.contextmanager
def damaged(broker: DevelopmentBroker, log: Log, id_: str) -> Iterator[None]:
    """A bit of this id is wrong where the broker stores it."""
    path = broker.data / "log" / f"{log.name}-0" / "00000000000000000000.log"
    at = path.read_bytes().index(f'"query_id":"{id_}"'.encode()) + 1

    def flip() -> None:
        with path.open("r+b") as file:
            file.seek(at)
            (letter,) = file.read(1)
            file.seek(at)
            file.write(bytes([letter ^ 1]))

    flip()
    try:
        yield
    finally:
        flip()


@pytest.mark.kafka
async def test_a_damaged_batch_stops_a_restore_until_it_is_whole_again_and_costs_nothing_that_is_known(
    session_broker: DevelopmentBroker, tmp_path: Path
) -> None:
    log = Log(session_broker.bootstrap_servers)
    await log.create()
    await log.write(["a"])
    store, _ = await restored(log, tmp_path)
    await log.write(["b", "c"])

    # Given a batch behind what the store has read; then the last one that it has read
    for id_, offsets in (("c", "2 to 3"), ("a", "0 to 0")):
        with damaged(session_broker, log, id_):
            says = rf"{log.name} partition 0: the batch with offsets {offsets} cannot be read: its checksum is wrong"
            with pytest.raises(BrokerError, match=rf"(?s){says}.*Another replica may .*Delete neither") as stopped:
                await log.restore(store).run(log.clients)
            assert "Somebody else wrote it" not in str(stopped.value)
            assert store.get("a"), "a copy of what cannot be read in Kafka any more is not thrown away"

    await log.restore(store).run(log.clients)
    assert store.get("b") and store.get("c")
    store.close()


@dataclass
class Stored:
    """A record as it lies in a batch."""

    key: bytes
    value: bytes
    offset: int = 0
    timestamp: int = 5


@given(ids, digests, digests, st.none() | digests)
def test_the_fast_decoder_of_settled_ids_equals_the_schema_decoder(
    id_: str, auction: str, settled: str, scored: str | None
) -> None:
    used = QuerySettled(query_id=id_, auction_id=auction, settled_sha256=settled, scored_sha256=scored)
    old = used.encode().replace(b',"scored_sha256":null', b"")  # as it was written before there was that field
    restore = Restore(Topic(QuerySettled, "query_id", FOR_EVER, 1, 1), 0, Placement("t", 1), RocksStore, WINDOW)  # type: ignore[arg-type]

    for value in {used.encode(), old}:
        short, long = ([*restore._rows([Stored(key, value)])] for key in (id_.encode(), b"another way"))
        assert short == long
        assert short[0][0] == id_.encode()


@given(st.lists(st.binary(max_size=12), max_size=20), st.integers(1, 9))
def test_the_batch_partitioner_equals_the_partitioner_of_one_key(keys: list[bytes], count: int) -> None:
    placement = Placement("t", count)

    for partition in range(count):
        assert placement.are_right(keys, partition) == all(placement.is_right(key, partition) for key in keys)
        assert placement.are_right([key for key in keys if placement.is_right(key, partition)], partition)
