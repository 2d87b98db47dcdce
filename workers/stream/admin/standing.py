"""Where groups stand, for commands: what their stages' logs say together with what is committed, without a barrier."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.offset import OffsetRequest

from schemas.topics import POSITION_SUFFIX
from workers.errors import OffsetLost
from workers.stream.connection.admin_client import GROUP, LATEST, Cluster
from workers.stream.connection.topic_ids import topic_id
from workers.stream.offsets import NOTHING_KNOWN, Completion, read_completion
from workers.stream.partition.position_log import Position, PositionLog


@dataclass(frozen=True)
class Stand:
    """One group in one partition. `completion`: None where what is written cannot be read."""

    committed: int  # the group's offset; -1: none
    completion: Completion | None

    @property
    def offset(self) -> int:
        """Where the group goes on; -1: nobody knows."""
        return self.committed if self.completion is None else self.completion.base

    @property
    def known(self) -> Completion | None:
        """What is finished; None where nobody knows, or it cannot be read."""
        return None if self.completion == NOTHING_KNOWN else self.completion


async def stands(cluster: Cluster, group: str, topic: str, numbers: Iterable[int]) -> dict[int, Stand]:
    """Of each of these partitions. The log is left out where there is none, or this user may not see it."""
    numbers = list(numbers)
    told = await cluster.retry(partial(cluster.committed_with_metadata, group, topic, numbers))
    logged = await _logged(cluster, group + POSITION_SUFFIX, topic, numbers)
    return {number: Stand(at, _together(logged.get(number), at, text)) for number, (at, text) in told.items()}


async def offsets_of(cluster: Cluster, group: str, topic: str, numbers: Iterable[int]) -> dict[int, int]:
    """Where the group goes on in each of these partitions; -1: nobody knows."""
    return {number: stand.offset for number, stand in (await stands(cluster, group, topic, numbers)).items()}


async def members_of(cluster: Cluster, group: str) -> int:
    """How many consumers the group has: workers of its stage that run."""
    answer = await cluster.ask(DescribeGroupsRequest([group]), await cluster.coordinator(GROUP, group))
    code, *_, members = answer.groups[0][:6]
    if code:
        raise for_code(code)(f"group {group}")
    return len(members)


def _together(logged: Position | None, offset: int, metadata: str) -> Completion | None:
    try:
        told = read_completion(offset, metadata)
    except OffsetLost:
        return None
    return told if logged is None else logged.joined(told).completion


async def _logged(cluster: Cluster, name: str, topic: str, numbers: Iterable[int]) -> Mapping[int, Position]:
    partitions = {one.number for one in (await cluster.retry(cluster.partitions)).get(name, ())}
    found: dict[int, Position] = {}
    id_ = await cluster.retry(partial(topic_id, cluster, topic)) if partitions else ""
    for number in partitions.intersection(numbers):
        log = PositionLog(name, TopicPartition(topic, number))
        end = await cluster.retry(partial(_stable_end, cluster, log.place))
        try:
            position = await log.read(cluster, end, id_)
        except OffsetLost:
            continue
        if position is not None:
            found[number] = position
    return found


async def _stable_end(cluster: Cluster, at: TopicPartition) -> int:
    """Below it every transaction is decided: nobody's open one is waited for."""
    leader = {one.number: one.leader for one in (await cluster.partitions())[at.topic]}[at.partition]
    answer = await cluster.ask(OffsetRequest(-1, READ_COMMITTED, [(at.topic, [(at.partition, LATEST)])]), leader)
    ((_, code, _, offset),) = answer.topics[0][1]
    if code:
        raise for_code(code)(f"{at.topic}, partition {at.partition}")
    return int(offset)
