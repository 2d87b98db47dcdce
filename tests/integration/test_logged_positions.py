"""A stage goes on from its own log of positions, whatever the group's coordinator says, and forgets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from aiokafka import TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.letter import Place
from tests.chaos.walls import take_down
from tests.contracts.test_bus import WAIT_S, Answerer, Rig, numbers, rig_with
from tests.support.new_topics import make_topics
from workers.errors import OffsetLost, TesseraError, Unsuitable
from workers.settings import Settings
from workers.stream.admin.set_position import PositionSet, set_position
from workers.stream.connection.admin_client import TopicPlan
from workers.stream.connection.clients import Clients
from workers.stream.offsets import Completion
from workers.stream.partition import transaction
from workers.stream.partition.producer import TransactionalWriter

pytestmark = pytest.mark.kafka


@pytest.fixture(params=["kafka"])
async def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Rig:
    return await rig_with(request, monkeypatch, Answerer())


class Group:
    """The rig's consumer group, as an administrator sees it."""

    def __init__(self, rig: Rig, kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clients = Clients(Settings.read(bootstrap_servers=kafka))
        self._admin = AdminClient({"bootstrap.servers": kafka})
        self.spec, self.stale = rig.stage.spec, list[str]()
        self.at = TopicPartition(self.spec.consumes.name, 0)
        monkeypatch.setattr(rig.journal, "stale_position", self.stale.append)

    async def offset(self) -> int:
        async with self.clients.cluster() as cluster:
            return (await cluster.committed(self.spec.group, self.at.topic, [0]))[0]

    async def until(self, offset: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while await self.offset() < offset:
                await asyncio.sleep(0.1)

    async def set_to(self, completion: Completion) -> None:
        """As Kafka's own tools do, once the group has no members."""
        async with self.clients.cluster() as cluster:
            await cluster.retry(lambda: cluster.commit(self.spec.group, self.at.topic, {0: completion}))

    async def set_beside_its_owner(self, offset: int) -> None:
        """As a coordinator that has lost the past shows it; then the partition is opened again."""
        await self._commit(f"intruder.{self.at.topic}", offset)
        await self._commit(f"{self.spec.group}.{self.at.topic}.0", None)

    async def _commit(self, transactional_id: str, offset: int | None) -> None:
        writer = TransactionalWriter(self.clients, transactional_id)
        await writer.start()
        if offset is not None:
            await writer.begin()
            await writer.commit(self.at, offset, "", self.spec.group)
        await writer.discard()

    async def forget(self) -> None:
        """As Kafka does after offsets.retention.minutes."""
        for deleted in self._admin.delete_consumer_groups([self.spec.group]).values():
            await asyncio.to_thread(deleted.result, WAIT_S)

    async def write_nonsense(self) -> None:
        """What no release of ours writes into the log of positions."""
        writer = self.clients.producer()
        await writer.start()
        await writer.send_and_wait(self.spec.positions, b"nonsense", key=b"x", partition=0)
        await writer.stop()

    async def delete(self, *topics: str) -> None:
        for deleted in self._admin.delete_topics(list(topics)).values():
            await asyncio.to_thread(deleted.result, WAIT_S)

    async def make_anew(self, *topics: str) -> None:
        await self.delete(*topics)
        async with asyncio.timeout(WAIT_S), self.clients.cluster() as cluster:
            while {*topics} & (await cluster.partitions()).keys():
                await asyncio.sleep(0.1)
            await make_topics(cluster, [TopicPlan(topic, 1, 1, {}) for topic in topics])


@pytest.fixture
def group(rig: Rig, kafka: str, monkeypatch: pytest.MonkeyPatch) -> Group:
    return Group(rig, kafka, monkeypatch)


@asynccontextmanager
async def answered(rig: Rig, group: Group, count: int) -> AsyncIterator[None]:
    """So many records are answered by a stage that runs inside, and committed."""
    async with rig.reading() as take, rig.running():
        await rig.publish(range(count))
        assert numbers(await take(count)) == [*range(count)]
        await group.until(count)
        yield


async def goes_on(rig: Rig, *numbers_: int) -> None:
    """A stage that starts answers these, which are new, and nothing else."""
    rig.journal.ready.clear()
    async with rig.reading() as take, rig.running():
        await rig.publish(numbers_)
        assert numbers(await take(len(numbers_))) == [*numbers_]


async def test_an_older_answer_of_the_coordinator_is_counted_and_nothing_is_done_twice(
    rig: Rig, group: Group, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig.reading() as take, answered(rig, group, 20):
        await take(20)
        await group.set_beside_its_owner(5)
        await rig.publish(range(20, 25))
        assert numbers(await take(5)) == [20, 21, 22, 23, 24]
        await group.until(20)  # the coordinator is told again at once

    assert group.stale == [rig.stage.spec.name]
    assert "the stage's own log says 20, Kafka's group coordinator 5" in caplog.text


async def test_without_the_log_an_older_answer_does_work_twice(
    rig: Rig, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a chaos campaign switches off with `--without position`."""
    monkeypatch.setattr(transaction, "read_position", transaction.read_position)  # put back in the end
    take_down("position")
    async with rig.reading() as take, answered(rig, group, 10):
        await take(10)
        await group.set_beside_its_owner(5)
        await rig.publish([10])
        assert numbers(await take(6)) == [5, 6, 7, 8, 9, 10]


async def test_offsets_set_back_with_kafkas_tools_between_two_runs_do_no_work_twice(rig: Rig, group: Group) -> None:
    async with answered(rig, group, 10):
        pass
    await group.set_to(Completion(3))

    await goes_on(rig, 10, 11)

    assert group.stale == [rig.stage.spec.name]


async def test_a_group_whose_offsets_were_forgotten_goes_on_from_its_log(rig: Rig, group: Group) -> None:
    async with answered(rig, group, 10):
        pass
    await group.forget()

    await goes_on(rig, 10, 11)

    await group.until(11)


async def test_an_offset_further_on_counts_as_an_older_release_writes_nothing_else(rig: Rig, group: Group) -> None:
    async with answered(rig, group, 4):
        pass
    await rig.publish([4, 5])
    await group.set_to(Completion(6))

    await goes_on(rig, 6)

    assert not group.stale


async def test_a_topic_begun_anew_is_not_skipped_for_the_positions_of_the_old_one(rig: Rig, group: Group) -> None:
    async with answered(rig, group, 8):
        pass
    await group.make_anew(group.at.topic)
    with pytest.raises(OffsetLost, match="no offset is committed"):
        await asyncio.wait_for(rig.bus.run([rig.stage], asyncio.Event()), WAIT_S)
    await group.set_to(Completion(0))

    await goes_on(rig, 30, 31)


async def test_a_log_that_is_empty_as_after_an_upgrade_is_begun_at_the_committed_offset(rig: Rig, group: Group) -> None:
    async with answered(rig, group, 5):
        pass
    await group.make_anew(group.spec.positions)
    await goes_on(rig, 5)
    await group.until(6)
    await group.forget()

    await goes_on(rig, 6)


async def test_a_position_is_set_back_and_forward_by_hand_and_older_answers_do_not_undo_it(
    rig: Rig, group: Group, kafka: str
) -> None:
    settings, place = Settings.read(bootstrap_servers=kafka), partial(Place, group.at.topic, 0)
    async with answered(rig, group, 10):
        with pytest.raises(TesseraError, match="has 1 running worker"):
            await set_position(settings, group.spec, place(4))
    with pytest.raises(TesseraError, match="stores offsets 0 to 10, not 11"):
        await set_position(settings, group.spec, place(11))

    # When it is set back, then what is behind it is done again, although the coordinator goes on saying 10
    assert await set_position(settings, group.spec, place(7)) == PositionSet(group.spec.group, 10, Completion(7))
    await group.set_to(Completion(10))
    async with rig.reading() as take, rig.running():
        assert numbers(await take(3)) == [7, 8, 9]

    # When it is set forward, then what is between is left out
    await rig.publish([10, 11, 12])
    await set_position(settings, group.spec, place(12))
    rig.journal.ready.clear()
    async with rig.reading() as take, rig.running():
        assert numbers(await take(1)) == [12]


async def test_what_the_coordinator_alone_knows_to_be_finished_stays_so_when_a_position_is_set_by_hand(
    rig: Rig, group: Group, kafka: str
) -> None:
    async with answered(rig, group, 5):
        pass
    await group.make_anew(group.spec.positions)
    await group.set_to(Completion(2, frozenset({4})))

    done = await set_position(Settings.read(bootstrap_servers=kafka), group.spec, Place(group.at.topic, 0, 3))

    assert done == PositionSet(group.spec.group, 2, Completion(3, frozenset({4})))
    rig.journal.ready.clear()
    async with rig.reading() as take, rig.running():
        await rig.publish([5])
        assert numbers(await take(2)) == [3, 5]


async def test_a_position_that_nobody_can_read_is_set_by_hand(rig: Rig, group: Group, kafka: str) -> None:
    async with answered(rig, group, 3):
        pass
    await group.write_nonsense()

    await set_position(Settings.read(bootstrap_servers=kafka), group.spec, Place(group.at.topic, 0, 3))

    await goes_on(rig, 3, 4)


async def test_a_missing_topic_of_positions_names_the_command(rig: Rig, group: Group) -> None:
    await group.delete(group.spec.positions)

    with pytest.raises(Unsuitable, match=f"no topic {group.spec.positions}.* Run `tessera topics create`"):
        await asyncio.wait_for(rig.bus.run([rig.stage], asyncio.Event()), WAIT_S)


async def test_a_foreign_record_among_the_logged_positions_is_refused(rig: Rig, group: Group) -> None:
    async with answered(rig, group, 3):
        pass
    await group.write_nonsense()

    with pytest.raises(OffsetLost, match="tessera offsets set"):
        await asyncio.wait_for(rig.bus.run([rig.stage], asyncio.Event()), WAIT_S)
