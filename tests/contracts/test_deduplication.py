"""What any bus must do for a stage that remembers: one record of each id is worked on, in memory and on Kafka."""

import asyncio
import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from schemas.envelope import Event
from schemas.reasons import DeadLetterReason, RepeatReason
from schemas.record import Outgoing, Record
from schemas.settled import QuerySettled
from schemas.topics import FOR_EVER, MEBIBYTE, Topic
from tests.contracts.test_bus import WAIT_S, Answerer, Asked, Rig, numbers, rig_with
from tests.support.new_topics import make_topics
from workers.errors import BrokerError, MemoryLost, Misplaced
from workers.pipeline import STAGES
from workers.settings import Settings
from workers.stream.admin.first_offsets import initialise_offsets
from workers.stream.connection.admin_client import TopicPlan
from workers.stream.connection.clients import Clients
from workers.stream.deduplication.memory_loss import memory_is_lost
from workers.stream.deduplication.restore import Restore
from workers.stream.deduplication.samples import check_placement
from workers.stream.partition.producer import TransactionalWriter, WriterLost, place

BUSES = ["memory", pytest.param("kafka", marks=pytest.mark.kafka)]
KAFKA = [pytest.param("kafka", marks=pytest.mark.kafka)]


@dataclass
class Settler(Answerer):
    """It answers, and says that the id is used."""

    remembers: type[QuerySettled] = QuerySettled

    async def handle(self, event: Event[Asked]) -> Sequence[Event[Any]]:
        (answer,) = await super().handle(event)
        data, auction_id = event.data, event.data.auction_id
        used = self.remembers(
            query_id=data.query_id, auction_id=auction_id, settled_sha256=answer.digest, scored_sha256=event.digest
        )
        return answer, event.follow(used, source="test", auction_id=auction_id, time=event.time)


@pytest.fixture(params=BUSES)
async def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A rig whose stage remembers."""
    named = type("Used", (QuerySettled,), {"event_type": f"test.{uuid.uuid4().hex}.used", "__module__": __name__})
    memory = Topic(named, "query_id", FOR_EVER, 1, MEBIBYTE, cleanup="compact")
    return await rig_with(request, monkeypatch, Settler(remembers=named), memory)


def memory_of(rig: Rig) -> Topic:
    assert rig.stage.spec.remembers
    return rig.stage.spec.remembers


async def ask(rig: Rig, *asked: tuple[str, int]) -> None:
    """Query id and number of each, in one batch."""
    name = rig.stage.spec.consumes.name
    values = [(id_.encode(), Asked(query_id=id_, number=number).encode()) for id_, number in asked]
    await rig.bus.publish([Outgoing(name, key, value) for key, value in values])


def split(records: Sequence[Record]) -> tuple[list[int], list[int]]:
    """The numbers that were answered, and those that became dead letters as duplicates."""
    letters = [record for record in records if record.topic.endswith(".dlq")]
    for letter in letters:
        assert dict(letter.headers)["dlq.reason"] == b"DUPLICATE_QUERY"
        assert dict(letter.headers)["dlq.code"] == b"7"
    return numbers(record for record in records if record not in letters), numbers(letters)


async def heard_of(rig: Rig, count: int) -> None:
    """Wait until the observer was told of so many records."""
    journal = rig.journal
    async with asyncio.timeout(WAIT_S):
        while len(journal.committed_numbers) + len(journal.refusals) + len(journal.repeats) < count:
            await asyncio.sleep(0.01)


async def remembered(rig: Rig) -> list[tuple[str, str]]:
    """What the memory's topic holds."""
    payload = memory_of(rig).payload
    found: list[Any] = [payload.decode(record.value) async for record in rig.bus.stored([memory_of(rig).name])]
    return [(one.query_id, one.auction_id) for one in found]


async def test_an_id_that_was_used_before_is_a_dead_letter(rig: Rig) -> None:
    async with rig.reading() as take, rig.running():
        await ask(rig, ("a", 1))
        first = await take(1)
        await ask(rig, ("a", 2))
        again = await take(1)
        await ask(rig, ("a", 3), ("b", 4))
        last = await take(2)
        await heard_of(rig, 4)

    assert split([*first, *again, *last]) == ([1, 4], [2, 3])
    # Then the worker never saw the duplicates, the observer counts them, and the memory names the first auctions
    assert rig.answerer.heard == [1, 4]
    assert rig.journal.refusals == [(rig.stage.spec.name, DeadLetterReason.DUPLICATE_QUERY)] * 2
    assert await remembered(rig) == [(id_, Asked(query_id=id_, number=n).auction_id) for id_, n in (("a", 1), ("b", 4))]


async def test_of_two_records_with_one_id_in_a_batch_the_first_counts_though_it_takes_longer(rig: Rig) -> None:
    async with rig.reading() as take, rig.running():
        await ask(rig, ("a", 0), ("a", 6), ("b", 7), ("b", 13), ("a", 20))  # 0 and 7 take longest, 6 and 13 shortest
        records = await take(5)

    assert split(records) == ([0, 7], [6, 13, 20])
    assert rig.answerer.heard == [0, 7]


async def test_a_settled_record_that_comes_again_is_neither_answered_nor_refused(rig: Rig) -> None:
    async with rig.reading() as take, rig.running():
        # Given the same record behind itself in one batch, and once more when it is answered
        await ask(rig, ("a", 1), ("b", 2), ("a", 1), ("a", 1), ("c", 3))
        together = await take(3)
        await ask(rig, ("b", 2), ("d", 4))
        after = await take(1)
        await heard_of(rig, 7)

    assert split([*together, *after]) == ([1, 2, 3, 4], [])
    assert rig.answerer.heard == [1, 2, 3, 4]
    assert rig.journal.repeats == [RepeatReason.SAME_EVENT] * 3
    assert [id_ for id_, _ in await remembered(rig)] == ["a", "b", "c", "d"]


async def test_the_same_auction_in_other_bytes_is_a_dead_letter_that_says_so(rig: Rig) -> None:
    other_bytes = Asked(query_id="a", number=1).encode() + b" "
    async with rig.reading() as take, rig.running():
        await ask(rig, ("a", 1))
        await rig.bus.publish([Outgoing(rig.stage.spec.consumes.name, b"a", other_bytes)])
        await ask(rig, ("a", 2))
        records = await take(3)
        await heard_of(rig, 3)

    assert split(records) == ([1], [1, 2])
    again, another = [dict(record.headers)["dlq.message"] or b"" for record in records if ".dlq" in record.topic]
    assert b"scored a second time" in again and b"by another auction" in another
    assert rig.journal.repeats == [RepeatReason.SCORED_AGAIN]
    assert rig.journal.refusals == [(rig.stage.spec.name, DeadLetterReason.DUPLICATE_QUERY)]


@pytest.mark.parametrize("number", [1, 2])
async def test_settled_ids_of_older_releases_are_compared_by_auction_alone(rig: Rig, number: int) -> None:
    # Given a record of the memory without the digest of the scored event
    old = memory_of(rig).payload(
        query_id="a", auction_id=Asked(query_id="a", number=1).auction_id, settled_sha256="b" * 64
    )
    await rig.bus.publish([Outgoing(memory_of(rig).name, b"a", old.encode().replace(b',"scored_sha256":null', b""))])

    async with rig.reading() as take, rig.running():
        await ask(rig, ("a", number), ("b", 9))
        records = await take(number)

    # Then the same auction leads to nothing, another one to a dead letter
    assert split(records) == ([9], [2] if number == 2 else [])


async def test_different_ids_are_worked_on_concurrently_and_published_in_order(rig: Rig) -> None:
    async with rig.reading() as take, rig.running():
        await ask(rig, *((f"q{number}", number) for number in range(60)))
        assert split(await take(60)) == (list(range(60)), [])
    assert rig.answerer.most_working > 1


async def test_a_refused_record_does_not_use_its_id(rig: Rig) -> None:
    # Given a first record that is refused, in the same batch and before
    rig.answerer.refuses = lambda number: number in (0, 7)
    async with rig.reading() as take, rig.running():
        await ask(rig, ("a", 0), ("a", 1), ("a", 2))
        together = await take(3)
        await ask(rig, ("b", 7))
        alone = await take(1)
        await ask(rig, ("b", 8))
        after = await take(1)

    letters = {
        number: dict(record.headers)["dlq.reason"]
        for record in [*together, *alone, *after]
        if record.topic.endswith(".dlq")
        for number in numbers([record])
    }
    assert letters == {0: b"EXPIRED", 2: b"DUPLICATE_QUERY", 7: b"EXPIRED"}
    assert rig.answerer.heard == [0, 1, 7, 8]


async def test_a_record_that_cannot_be_decoded_does_not_use_its_key(rig: Rig) -> None:
    async with rig.reading() as take, rig.running():
        await rig.bus.publish([Outgoing(rig.stage.spec.consumes.name, b"a", b"nonsense")])
        await ask(rig, ("a", 1), ("a", 2))
        records = await take(3)
    letters = [record for record in records if record.topic.endswith(".dlq")]
    assert [dict(letter.headers)["dlq.reason"] for letter in letters] == [b"BAD_JSON", b"DUPLICATE_QUERY"]
    assert numbers(record for record in records if record not in letters) == [1]


async def test_a_new_run_knows_the_ids_of_the_last(rig: Rig) -> None:
    async with rig.reading() as take:
        async with rig.running():
            await ask(rig, *((f"q{number}", number) for number in range(20)))
            await take(20)
        rig.journal.ready.clear()
        async with rig.running():
            await ask(rig, ("q7", 107), ("new", 108), ("q19", 119))
            records = await take(3)  # in memory a run begins at the first record: a replay

    # Then the duplicates are refused, and records that are seen again lead to nothing
    answered, refused = split(records)
    assert refused == [107, 119]
    assert answered == [108]


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_after_an_aborted_transaction_a_record_is_no_duplicate_of_itself(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given transactions that fail when everything is sent, the first one without and the second one with its commit
    commit, commits = TransactionalWriter.commit, []

    async def unsteady(writer: TransactionalWriter, *position: Any) -> None:
        if position[1] == 0:  # it says that work begins; nothing is published
            return await commit(writer, *position)
        commits.append(position)
        if len(commits) == 1:
            raise WriterLost("before the commit")
        await commit(writer, *position)
        if len(commits) == 2:
            raise WriterLost("behind the commit")

    monkeypatch.setattr(TransactionalWriter, "commit", unsteady)
    async with rig.reading() as take, rig.running():
        # When records are worked on again
        await ask(rig, ("a", 1), ("b", 2), ("a", 3))
        records = await take(3)
        await ask(rig, ("b", 4), ("c", 5))
        records += await take(2)

    # Then each has its one end
    assert len(commits) >= 3 and rig.answerer.heard.count(1) >= 2
    assert split(records) == ([1, 2, 5], [3, 4])


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_after_a_reopened_partition_and_a_restart_only_the_tail_of_the_settled_ids_is_read(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given commits of which every third is not answered
    take_in, commit, read, commits = Restore._take, TransactionalWriter.commit, list[int](), itertools.count()

    def counted(self: Restore, records: Sequence[Any], *rest: int) -> None:
        read.extend(record.offset for record in records)
        take_in(self, records, *rest)

    async def unsteady(writer: TransactionalWriter, *position: Any) -> None:
        await commit(writer, *position)
        if next(commits) % 3 == 2:
            raise WriterLost("no answer")

    monkeypatch.setattr(Restore, "_take", counted)
    monkeypatch.setattr(TransactionalWriter, "commit", unsteady)
    # When ids are settled by two processes, one after the other, on one machine
    async with rig.reading() as take:
        for part in range(2):
            rig.journal.ready.clear()
            async with rig.running():
                for number in range(12):
                    await ask(rig, (f"q{part}-{number}", number))
                    await take(1)
    rig.journal.ready.clear()
    async with rig.running():
        await rig.journal.ready.wait()

    # Then each record of the memory was read once
    assert next(commits) > 12 and len(read) == 24
    assert len(set(read)) == 24 and len(await remembered(rig)) == 24


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_a_query_older_than_the_id_window_is_a_dead_letter(rig: Rig, kafka: str) -> None:
    # Given a memory whose first records were deleted
    await rig.bus.publish([Outgoing(memory_of(rig).name, b"a", used_of(rig, "b").encode()) for _ in range(3)])
    admin = AdminClient({"bootstrap.servers": kafka})
    (deleted,) = admin.delete_records([TopicPartition(memory_of(rig).name, 0, 2)]).values()
    await asyncio.to_thread(deleted.result)

    async with rig.reading() as take, rig.running():
        await ask(rig, ("a", 1))
        (letter,) = await take(1)

    headers = dict(letter.headers)
    assert headers["dlq.reason"] == b"EXPIRED" and b"it may have been settled before" in (headers["dlq.message"] or b"")
    assert rig.answerer.heard == []


def used_of(rig: Rig, id_: str) -> Any:
    return memory_of(rig).payload(query_id=id_, auction_id="a" * 64, settled_sha256="b" * 64)


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_ids_committed_by_a_predecessor_before_it_was_fenced_are_known(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a predecessor whose last commit is settled by the start of its successor's producer
    start = TransactionalWriter.start
    used = memory_of(rig).payload(query_id="a", auction_id="a" * 64, settled_sha256="b" * 64)

    async def fencing(writer: TransactionalWriter) -> None:
        await rig.bus.publish([Outgoing(memory_of(rig).name, b"a", used.encode())])
        await start(writer)

    monkeypatch.setattr(TransactionalWriter, "start", fencing)
    async with rig.reading() as take, rig.running():
        await ask(rig, ("a", 1), ("b", 2))
        assert split(await take(2)) == ([2], [1])


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_settled_ids_partitioned_otherwise_than_the_input_do_not_start(rig: Rig, kafka: str) -> None:
    wrong = Topic(memory_of(rig).payload, "query_id", FOR_EVER, 1, MEBIBYTE)
    named = type("Used", (QuerySettled,), {"event_type": f"{wrong.name}.of.three"})
    other = Topic(named, "query_id", FOR_EVER, 3, MEBIBYTE)
    async with Clients(Settings.read(bootstrap_servers=kafka)).cluster() as cluster:
        await make_topics(cluster, [TopicPlan(other.name, 3, 1, {})])
    object.__setattr__(rig.stage.spec, "remembers", other)  # a frozen row of the table, as a cluster has spoilt it

    with pytest.raises(BrokerError, match=rf"{rig.stage.spec.consumes.name} has 1 and {other.name} has 3 partitions"):
        await asyncio.wait_for(rig.bus.run([rig.stage], asyncio.Event()), WAIT_S)


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_a_missing_topic_of_settled_ids_names_the_command(rig: Rig) -> None:
    missing = type("Used", (QuerySettled,), {"event_type": f"test.{uuid.uuid4().hex}"})
    object.__setattr__(rig.stage.spec, "remembers", Topic(missing, "query_id", FOR_EVER, 1, MEBIBYTE))

    with pytest.raises(BrokerError, match="run `tessera topics create`"):
        await asyncio.wait_for(rig.bus.run([rig.stage], asyncio.Event()), WAIT_S)


async def test_a_topic_of_settled_ids_with_a_foreign_record_does_not_start(rig: Rig) -> None:
    await rig.bus.publish([Outgoing(memory_of(rig).name, b"a", b"nonsense")])

    with pytest.raises(BrokerError, match="BAD_JSON"):
        await asyncio.wait_for(rig.bus.run([rig.stage], asyncio.Event()), WAIT_S)


def add_partitions(rig: Rig, kafka: str) -> None:
    """A second one for every topic of the rig, as an administrator does it."""
    spec = rig.stage.spec
    names = [spec.consumes.name, spec.positions, *(topic.name for topic in spec.publishes)]
    admin = AdminClient({"bootstrap.servers": kafka})
    for added in admin.create_partitions([NewPartitions(name, 2) for name in names]).values():
        added.result(WAIT_S)


def id_of(partition: int, begin: str = "id") -> str:
    """A query id that belongs to this one of two partitions."""
    return next(id_ for id_ in (f"{begin}-{number}" for number in range(99)) if place(id_.encode(), 2) == partition)


async def make_anew(topic: str, partitions: int, kafka: str) -> None:
    """Delete the topic, and create it without a record."""
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.delete_topics([topic])[topic].result(WAIT_S)
    async with asyncio.timeout(WAIT_S), Clients(Settings.read(bootstrap_servers=kafka)).cluster() as cluster:
        while topic in await cluster.partitions():
            await asyncio.sleep(0.1)
        await make_topics(
            cluster,
            [TopicPlan(topic, partitions, 1, {"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"})],
        )


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_partitions_that_were_added_to_all_topics_are_refused_and_nothing_is_worked_on_twice(
    rig: Rig, kafka: str
) -> None:
    # Given an id that was used and one that waits; both belong to the second partition since there are two
    moved, waits, stays = id_of(1), id_of(1, "waits"), id_of(0)
    settings = Settings.read(bootstrap_servers=kafka)
    async with rig.reading() as take, rig.running():
        await ask(rig, (moved, 1))
        await take(1)
    await ask(rig, (waits, 4))
    add_partitions(rig, kafka)
    await initialise_offsets(
        Settings.read(bootstrap_servers=kafka), {rig.stage.spec.group: rig.stage.spec.consumes.name}
    )
    await ask(rig, (moved, 2))

    # When it is used again: the owner of its new partition remembers nothing
    with pytest.raises(Misplaced, match=r"partition 0 offset 0: .* belongs to partition 1 of 2.*infra/partitions.md"):
        await asyncio.wait_for(rig.bus.run([rig.stage], asyncio.Event()), WAIT_S)
    assert rig.answerer.heard == [1]
    with pytest.raises(Misplaced):  # and doctor says so
        await check_placement(Clients(settings), memory_of(rig).name)

    # Then the remedy helps: the topic made anew, each remembered id written into its own partition
    memory = memory_of(rig).name
    kept = [record async for record in rig.bus.stored([memory])]
    await make_anew(memory, 2, kafka)
    await rig.bus.publish([Outgoing(memory, record.key, record.value) for record in kept])
    assert await check_placement(Clients(settings), memory) == 1
    async with rig.reading() as take, rig.running():
        await ask(rig, (stays, 3))
        records = await take(3)
        (misplaced,) = [one for one in records if ("dlq.reason", b"WRONG_PARTITION") in one.headers]
        await rig.bus.publish([Outgoing(rig.stage.spec.consumes.name, misplaced.key, misplaced.value)])  # as redriven
        again = await take(1)
    assert numbers([misplaced]) == [4]
    assert split([one for one in [*records, *again] if one is not misplaced]) == ([3, 4], [2])


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_partitions_that_are_added_while_it_runs_end_the_stage(
    rig: Rig, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = Clients.consumer  # it looks for new partitions every five minutes
    monkeypatch.setattr(
        Clients, "consumer", lambda *args, **options: consumer(*args, **options, metadata_max_age_ms=500)
    )
    async with rig.running() as run:
        add_partitions(rig, kafka)
        await asyncio.wait([run], timeout=WAIT_S)
        with pytest.raises(BrokerError, match="had 1 partitions when this process started, and has 2 or more now"):
            run.result()


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_a_stage_whose_memory_is_gone_does_not_start_until_somebody_accepts_that(
    rig: Rig, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, settings = rig.stage.spec, Settings.read(bootstrap_servers=kafka)
    groups = {spec.group: spec.consumes.name}
    monkeypatch.setitem(STAGES, spec.name, spec)
    async with rig.reading() as take, rig.running():
        await ask(rig, ("a", 1))
        await take(1)
        await heard_of(rig, 1)

    # Given a memory that was made anew, twice, while the group's offsets are there, and an event that comes again
    for _ in range(2):
        await make_anew(memory_of(rig).name, 1, kafka)
        await ask(rig, ("a", 1))
        with pytest.raises(
            MemoryLost, match=r"was never written.*the memory of what is settled is gone(.|\n)*--begin latest"
        ):
            await asyncio.wait_for(rig.bus.run([rig.stage], asyncio.Event()), WAIT_S)
        assert rig.answerer.heard == [1]
        # Then setting offsets changes nothing, and saying so lets it begin, as often as it starts
        await initialise_offsets(settings, groups)
        assert await memory_is_lost(Clients(settings), spec)
        await initialise_offsets(settings, groups, "latest")
        assert not await memory_is_lost(Clients(settings), spec)
    rig.journal.ready.clear()
    async with rig.reading() as take, rig.running():
        await ask(rig, ("b", 2), ("b", 3))
        await take(3)
    assert rig.answerer.heard == [1, 1, 2], "what was settled before the loss is not known any more, as was accepted"


async def abort(clients: Clients, transactional_id: str, record: Outgoing) -> None:
    """Send the record in a transaction that is given up, and wait until it is aborted."""
    writer = TransactionalWriter(clients, transactional_id)
    await writer.start()
    await writer.begin()
    await writer.send([record])
    await writer.discard()
    successor = TransactionalWriter(clients, transactional_id)
    await successor.start()
    await successor.discard()


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_a_memory_is_not_lost_where_nothing_was_settled_or_its_records_are_deleted(rig: Rig, kafka: str) -> None:
    spec, clients = rig.stage.spec, Clients(Settings.read(bootstrap_servers=kafka))
    # Given a new cluster, then one whose first answer was never committed
    assert not await memory_is_lost(clients, spec)
    await abort(clients, spec.name, Outgoing(rig.answered.name, b"a", b"aborted"))
    assert not await memory_is_lost(clients, spec)
    # then one that has answered, and whose memory holds what was aborted; and one whose memory was written, too: until
    # retention has emptied it
    await rig.bus.publish([Outgoing(rig.answered.name, b"a", b"an answer")])
    await abort(clients, spec.name, used := Outgoing(memory_of(rig).name, b"a", used_of(rig, "a").encode()))
    assert await memory_is_lost(clients, spec)
    await rig.bus.publish([used])
    assert not await memory_is_lost(clients, spec)
    admin = AdminClient({"bootstrap.servers": kafka})
    (deleted,) = admin.delete_records([TopicPartition(memory_of(rig).name, 0, -1)]).values()
    await asyncio.to_thread(deleted.result)
    assert not await memory_is_lost(clients, spec)


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_a_memory_is_not_lost_where_one_partition_of_three_is_written_or_about_to_be(
    rig: Rig, kafka: str
) -> None:
    spec, clients = rig.stage.spec, Clients(Settings.read(bootstrap_servers=kafka))
    admin, memory = AdminClient({"bootstrap.servers": kafka}), memory_of(rig).name
    admin.create_partitions([NewPartitions(memory, 3)])[memory].result(WAIT_S)
    async with asyncio.timeout(WAIT_S), clients.cluster() as cluster:
        while len((await cluster.partitions())[memory]) < 3:
            await asyncio.sleep(0.05)
    await rig.bus.publish([Outgoing(rig.answered.name, b"a", b"an answer")])
    # Given a transaction of another partition's owner: its answer may be visible before what it remembers is
    writer = TransactionalWriter(clients, spec.name)
    await writer.start()
    await writer.begin()
    await writer.send([Outgoing(memory_of(rig).name, b"a", used_of(rig, "a").encode())])
    assert not await memory_is_lost(clients, spec)
    await writer.discard()
    await rig.bus.publish([Outgoing(memory_of(rig).name, b"a", used_of(rig, "a").encode())])
    assert not await memory_is_lost(clients, spec)
