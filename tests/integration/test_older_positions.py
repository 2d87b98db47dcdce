"""A broker that comes up answers with older committed offsets while it reads its log: no position is taken from one."""

import asyncio
import random
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.structs import OffsetAndMetadata

from schemas.topics import POSITION_SUFFIX
from tests.support.new_topics import make_topics
from tests.support.own_node import started
from workers.devkafka import DevelopmentBroker
from workers.errors import BrokerError, StalePosition
from workers.settings import Settings
from workers.stream.connection.admin_client import GROUP as GROUP_COORDINATOR
from workers.stream.connection.admin_client import SIMPLE_COMMIT, TopicPlan
from workers.stream.connection.clients import Clients
from workers.stream.connection.offset_fetch import OffsetFetchRequest, rows
from workers.stream.connection.topic_ids import topic_id
from workers.stream.offsets import Completion
from workers.stream.partition.position import Found, read_position
from workers.stream.partition.position_log import Position, PositionLog
from workers.stream.partition.producer import BARRIER, TransactionalWriter, WriterLost

pytestmark = pytest.mark.kafka

GROUP = TOPIC = "older.positions"
POSITIONS = TOPIC + POSITION_SUFFIX
PARTITIONS = range(4)
FILLER, COMMITS, ROWS = 4, 60, 5_000  # of one more partition: 300,000 records before the newest positions
ASK_EVERY_S = 0.005
OPENINGS = 10  # of each partition after a death of the broker
LIMIT_S = 200.0
FEWEST_DEATHS, MOST_DEATHS = 3, 30
STUCK_S = 20.0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[DevelopmentBroker]:
    """A node of its own: so long a log of offsets would slow down every start of the session's."""
    own = DevelopmentBroker(tmp_path, note=print)
    with started(own):
        yield own


class Group:
    """Owners that take the partitions over again and again, and somebody who asks without any precaution."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._clients = Clients(Settings.read(bootstrap_servers=servers))
        self.committed: dict[int, int] = {}  # acknowledged
        self.older = 0  # answers without precaution that were older than that

    async def fill(self) -> None:
        """Positions at the beginning of a long log, newer ones at its end."""
        async with self._clients.cluster() as cluster:
            await make_topics(cluster, [TopicPlan(name, FILLER + 1, 1, {}) for name in (TOPIC, POSITIONS)])
        client = AIOKafkaClient(bootstrap_servers=self._servers)
        await client.bootstrap()
        for offset, to in ((1, PARTITIONS), *[(0, [FILLER] * ROWS)] * COMMITS, (2, PARTITIONS)):
            while not await self._commit(client, offset, to):
                await asyncio.sleep(0.1)
        await client.close()
        self.committed = dict.fromkeys(PARTITIONS, 2)

    async def _commit(self, client: AIOKafkaClient, offset: int, to: Iterable[int]) -> bool:
        with suppress(KafkaError):
            node = await client.coordinator_lookup(GROUP_COORDINATOR, GROUP)
            request = OffsetCommitRequest(GROUP, *SIMPLE_COMMIT, [(TOPIC, [(number, offset, "") for number in to])])
            answer = await client.send(node, request)
            return not any(code for _, code in answer.topics[0][1])
        return False

    async def open_often(self, number: int) -> None:
        """As a stage's owners do; each commits one more. A commit whose answer is lost may have arrived or not."""
        at, opened = TopicPartition(TOPIC, number), 0
        while opened < OPENINGS:
            with suppress(WriterLost, BrokerError):
                await self._open(at)
                opened += 1
            await asyncio.sleep(random.uniform(0.0, 0.1))

    async def _open(self, at: TopicPartition) -> None:
        writer = TransactionalWriter(self._clients, f"{GROUP}.{at.partition}")
        try:
            await writer.start()
            position = (await found(self._clients, at, writer)).position
            base = position.completion.base
            assert base - self.committed[at.partition] in (0, 1)
            await writer.begin()
            await writer.send([PositionLog(POSITIONS, at).record(replace(position, completion=Completion(base + 1)))])
            await writer.commit(at, base + 1, "", GROUP)
            self.committed[at.partition] = base + 1
        finally:
            await writer.discard()

    async def ask_without_precaution(self) -> None:
        """Until it is cancelled, with and without `require_stable`: it makes no difference."""
        while True:
            client = AIOKafkaClient(bootstrap_servers=self._servers, request_timeout_ms=2_000)
            with suppress(KafkaError, OSError):
                await client.bootstrap()
                node = await client.coordinator_lookup(GROUP_COORDINATOR, GROUP)
                while True:
                    for stable in (False, True):
                        await self._ask(client, node, stable)
                    await asyncio.sleep(ASK_EVERY_S)
            await client.close()
            await asyncio.sleep(0.02)

    async def _ask(self, client: AIOKafkaClient, node: int, stable: bool) -> None:
        known = dict(self.committed)
        answer = await client.send(node, OffsetFetchRequest(GROUP, TOPIC, PARTITIONS, stable=stable))
        self.older += sum(not code and offset < known[number] for number, offset, _, code in rows(answer))


async def die_and_open(node: DevelopmentBroker, group: Group) -> None:
    """Partitions are opened from the first moment in which the port answers.

    A group coordinator that was written to while it read its log may never work again, for anybody, until its partition
    has another leader (decision 0011): the node dies once more.
    """
    asking = asyncio.create_task(group.ask_without_precaution())
    opening = asyncio.gather(*map(group.open_often, PARTITIONS))
    try:
        async with asyncio.timeout(LIMIT_S):
            while not opening.done():
                node.kill()
                node.launch()
                await asyncio.wait([opening], timeout=STUCK_S)
        await opening
    finally:
        asking.cancel()
        opening.cancel()


@pytest.mark.slow
async def test_no_position_read_behind_the_barrier_is_older_than_what_was_committed(node: DevelopmentBroker) -> None:
    group = Group(node.bootstrap_servers)
    await group.fill()

    for death in range(1, MOST_DEATHS + 1):
        await die_and_open(node, group)
        print(f"{death} times up, {group.older} older answers, {group.committed}")
        if group.older and death >= FEWEST_DEATHS:
            break

    assert group.older, "this Kafka answers with nothing older: what decision 0011 describes is not here"


async def found(
    clients: Clients, at: TopicPartition, writer: TransactionalWriter, known: Position | None = None
) -> Found:
    log = PositionLog(at.topic + POSITION_SUFFIX, at)
    return await read_position(clients, GROUP, log, known, partial(writer.barrier, at, GROUP, log.barrier()))


async def opened(kafka: str) -> tuple[Clients, TopicPartition, TransactionalWriter]:
    """A new topic's partition with offset 7 committed, and the writer of its owner."""
    clients, topic = Clients(Settings.read(bootstrap_servers=kafka)), f"older.{uuid.uuid4().hex}"
    async with clients.cluster() as cluster:
        await make_topics(cluster, [TopicPlan(name, 1, 1, {}) for name in (topic, topic + POSITION_SUFFIX)])
        await cluster.retry(lambda: cluster.commit(GROUP, topic, {0: Completion(7, frozenset({9}))}))
    writer = TransactionalWriter(clients, topic)
    await writer.start()
    return clients, TopicPartition(topic, 0), writer


async def test_the_barrier_leaves_the_committed_position_unchanged(kafka: str) -> None:
    clients, at, writer = await opened(kafka)
    await writer.begin()
    await writer.commit(at, 8, "", GROUP)

    assert [(await found(clients, at, writer)).position.completion for _ in range(3)] == [Completion(8)] * 3
    await writer.begin()
    await writer.commit(at, 9, "", GROUP)  # the writer is as good as before
    await writer.discard()


async def test_an_owner_that_dies_within_the_barrier_is_fenced_and_leaves_nothing(kafka: str) -> None:
    clients, at, dead = await opened(kafka)
    await dead.begin()
    await dead._producer.send_offsets_to_transaction({at: OffsetAndMetadata(0, BARRIER)}, GROUP)

    writer = TransactionalWriter(clients, at.topic)
    await writer.start()

    assert (await found(clients, at, writer)).position.completion == Completion(7, frozenset({9}))
    await writer.discard()
    await dead.discard()


@pytest.mark.parametrize(
    "known", [Completion(8), Completion(7, frozenset({9, 10}))], ids=["a later offset", "more beyond it"]
)
async def test_without_a_logged_position_one_below_what_was_committed_is_refused(kafka: str, known: Completion) -> None:
    clients, at, writer = await opened(kafka)
    async with clients.cluster() as cluster:
        id_ = await topic_id(cluster, at.topic)

    with pytest.raises(StalePosition, match=f"offset 7 is committed.*itself committed offset {known.base}"):
        await found(clients, at, writer, Position(id_, known))

    await writer.discard()
