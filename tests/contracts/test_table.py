"""What a table of a topic holds, on any bus: the memory bus and Kafka."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from schemas import topics as registered
from schemas.envelope import Event
from schemas.payload import Identifier, Payload
from schemas.record import Outgoing
from schemas.topics import FOR_EVER, MEBIBYTE, Topic
from workers.errors import Unsuitable
from workers.settings import Settings
from workers.stream.bus import Bus
from workers.stream.connection.admin_client import TopicPlan
from workers.stream.connection.clients import Clients
from workers.stream.kafka import KafkaBus
from workers.stream.memory import MemoryBus
from workers.stream.table import RECORDS_PER_PROGRESS, TopicTable, newest

WAIT_S = 60.0


class Budget(Payload):
    event_type: ClassVar[str] = "test.budget"
    query_id: Identifier
    micros: int


def total(before: int | None, event: Event[Budget]) -> int:
    return (before or 0) + event.data.micros


@dataclass
class Rig:
    """A bus and a compacted topic of its own."""

    bus: Bus
    topic: Topic

    async def say(self, key: str, micros: int | None) -> None:
        value = None if micros is None else Budget(query_id=key, micros=micros).encode()
        await self.publish(Outgoing(self.topic.name, key.encode(), value))

    async def publish(self, *records: Outgoing) -> None:
        await self.bus.publish(records)

    def table(self, **options: Any) -> TopicTable[Budget, Budget]:
        return TopicTable(self.bus, self.topic, newest, **options)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Rig:
    name = f"test.{uuid.uuid4().hex}"
    payload = type("Budget", (Budget,), {"event_type": name, "__module__": __name__})
    topic = Topic(payload, "query_id", FOR_EVER, 2, MEBIBYTE, cleanup="compact")
    monkeypatch.setitem(registered.BY_NAME, name, topic)
    observer: Any = object()  # no stage runs
    if request.param == "memory":
        return Rig(MemoryBus(observer), topic)
    settings = Settings.read(bootstrap_servers=request.getfixturevalue("kafka"))
    async with Clients(settings).cluster() as cluster:
        configs = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
        await cluster.create([TopicPlan(name, 2, 1, configs)])
    return Rig(KafkaBus(settings, observer), topic)


@asynccontextmanager
async def followed(table: TopicTable[Any, Any]) -> AsyncIterator[None]:
    task = asyncio.create_task(table.follow())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(table: TopicTable[Any, Any], **wanted: int) -> None:
    """Wait until the table holds exactly these."""
    async with asyncio.timeout(WAIT_S):
        while {key: value.micros for key, value in table.items()} != wanted:
            await asyncio.sleep(0.02)


async def test_the_newest_record_of_each_key_counts_and_one_without_a_value_deletes_it(rig: Rig) -> None:
    for key, micros in (("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", None), ("never", None)):
        await rig.say(key, micros)
    table = rig.table()
    await table.restore()

    assert {key: value.micros for key, value in table.items()} == {"a": 3, "c": 4}
    assert (table["a"].micros, len(table), table.get("b"), table.unreadable) == (3, 2, None, 0)


async def test_a_restore_goes_on_where_the_last_one_ended(rig: Rig) -> None:
    table: TopicTable[Budget, int] = TopicTable(rig.bus, rig.topic, total)
    await table.restore()
    assert not table
    for key, micros in (("a", 1), ("b", 20), ("a", 300)):
        await rig.say(key, micros)
        await table.restore()  # what it read twice it would add twice
    await rig.say("a", None)
    await rig.say("a", 5)
    await table.restore()

    assert dict(table) == {"a": 5, "b": 20}


async def test_what_follows_a_restore_is_taken_in_once_as_it_is_committed(rig: Rig) -> None:
    await rig.say("a", 1)
    table = rig.table()
    async with followed(table):
        await until(table, a=1)
        await rig.say("b", 2)
        await rig.say("a", None)
        await until(table, b=2)
        assert await table.lag() == 0
        with pytest.raises(RuntimeError, match="followed"):
            await table.restore()


async def test_the_lag_is_what_was_not_read_yet(rig: Rig) -> None:
    table = rig.table()
    for number in range(5):
        await rig.say(f"k{number}", number)
    assert await table.lag() == 5
    await table.restore()
    assert await table.lag() == 0


async def test_a_restore_tells_how_far_it_is_and_ends_at_the_whole(rig: Rig) -> None:
    count = 2 * RECORDS_PER_PROGRESS + 1
    values = [Budget(query_id=f"k{number % 7}", micros=number).encode() for number in range(count)]
    await rig.publish(*(Outgoing(rig.topic.name, f"k{n % 7}".encode(), value) for n, value in enumerate(values)))
    told: list[tuple[int, int]] = []
    await rig.table(progress=lambda done, of: told.append((done, of))).restore()

    assert told == [(RECORDS_PER_PROGRESS, count), (2 * RECORDS_PER_PROGRESS, count), (count, count)]


async def test_what_cannot_be_read_is_counted_and_changes_nothing(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    await rig.say("a", 1)
    name = rig.topic.name
    await rig.publish(Outgoing(name, b"a", b"no JSON"), Outgoing(name, b"b", b'{"query_id":"other","micros":1}'))
    table = rig.table()
    await table.restore()

    assert ({key: value.micros for key, value in table.items()}, table.unreadable) == ({"a": 1}, 2)
    assert [record.message.count("passed over") for record in caplog.records if record.name.endswith("table")] == [1]


async def test_more_than_fits_into_memory_is_refused_and_what_is_replaced_does_not_count(rig: Rig) -> None:
    size = len(Budget(query_id="a", micros=1).encode()) + 1
    table = rig.table(most_bytes=2 * size)
    for key in ("a", "b", "a", "b", "a"):
        await rig.say(key, 1)
    await table.restore()
    await rig.say("a", None)
    await rig.say("c", 1)
    await table.restore()
    assert sorted(table) == ["b", "c"]

    await rig.say("d", 1)
    with pytest.raises(Unsuitable, match="delete keys"):
        await table.restore()


async def test_nobody_deletes_what_was_said_where_the_topic_is_not_compacted(rig: Rig) -> None:
    await rig.say("a", 1)
    await rig.say("a", None)
    table = TopicTable(rig.bus, replace(rig.topic, cleanup="delete", retention=timedelta(days=1)), newest)
    await table.restore()

    assert (table["a"].micros, table.unreadable) == (1, 1)


async def test_each_change_is_told_in_its_order_and_a_deletion_with_nothing(rig: Rig) -> None:
    told: list[tuple[str, int | None]] = []
    table = rig.table(changed=lambda key, value: told.append((key, value and value.micros)))
    for micros in (1, 2, None, None, 3):
        await rig.say("a", micros)
    await table.restore()
    await table.restore()

    assert told == [("a", 1), ("a", 2), ("a", None), ("a", 3)]


async def test_a_topic_that_ends_before_what_was_read_is_read_anew() -> None:
    """On the memory bus: Kafka's topics are deleted in the background, which takes its time."""
    topic = Topic(type("Budget", (Budget,), {"event_type": "test.anew"}), "query_id", FOR_EVER, 1, MEBIBYTE, "compact")
    observer: Any = object()
    first = Rig(MemoryBus(observer), topic)
    await say_all(first, ("a", "b"))
    gone: list[str] = []
    table = first.table(changed=lambda key, value: gone.append(key) if value is None else None)
    await table.restore()
    second = Rig(MemoryBus(observer), topic)
    await say_all(second, ("c",))
    table._bus = second.bus
    await table.restore()

    assert sorted(table) == ["c"]
    assert sorted(gone) == ["a", "b"]


async def say_all(rig: Rig, keys: Sequence[str]) -> None:
    for key in keys:
        await rig.say(key, 1)


@pytest.mark.kafka
async def test_a_table_holds_nothing_of_a_transaction_that_was_aborted(kafka: str) -> None:
    settings = Settings.read(bootstrap_servers=kafka)
    name = f"test.{uuid.uuid4().hex}"
    payload = type("Budget", (Budget,), {"event_type": name, "__module__": __name__})
    topic = Topic(payload, "query_id", FOR_EVER, 1, MEBIBYTE, cleanup="compact")
    clients, observer = Clients(settings), object()
    async with clients.cluster() as cluster:
        await cluster.create([TopicPlan(name, 1, 1, {"cleanup.policy": "compact"})])
    producer = clients.producer(transactional_id=name)
    await producer.start()
    try:
        for micros, is_kept in ((1, True), (2, False)):
            await producer.begin_transaction()
            await producer.send_and_wait(name, Budget(query_id="a", micros=micros).encode(), key=b"a")
            await (producer.commit_transaction() if is_kept else producer.abort_transaction())
    finally:
        await producer.stop()
    table: TopicTable[Budget, Budget] = TopicTable(KafkaBus(settings, observer), topic, newest)  # type: ignore[arg-type]  # no stage
    await table.restore()

    assert (table["a"].micros, await table.lag()) == (1, 0)
