"""Where a group goes on in a partition: what it has committed, checked against what the partition still stores."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from aiokafka import TopicPartition

from workers.errors import OffsetLost, StalePosition
from workers.stream.connection.admin_client import EARLIEST, Cluster
from workers.stream.connection.clients import Clients
from workers.stream.connection.offset_fetch import UnstableOffsetCommitError
from workers.stream.offsets import NOTHING_KNOWN, Completion, read_completion
from workers.stream.partition.added_partitions import first_position
from workers.stream.reader import offset as offset_at

Barrier = Callable[[], Awaitable[None]]

PAUSE_S = 0.01  # until markers of a transaction are written, by brokers that say so


async def read_position(
    clients: Clients, group: str, at: TopicPartition, known: Completion, barrier: Barrier
) -> Completion:
    """What the group has finished, never less than `known`, which this process has committed there.

    A coordinator that has just come up may answer with any older offset, or none (decision 0011). So it is asked
    behind `barrier`, a write that it must acknowledge, and twice, as it may come up between the write and the question.
    That is no proof: one was met that had taken the write and lost what lay before. Only `known` told it then.

    StalePosition: the answers differ, or are older than `known`. OffsetLost: there is no offset, an unreadable one, or
    one that is no longer stored.
    """
    where = f"group {group}, {at.topic} partition {at.partition}"
    async with clients.cluster() as cluster:
        first, found = [await _ask_behind(barrier, cluster, group, at) for _ in range(2)]
        begin = await cluster.insist(partial(offset_at, cluster, at, EARLIEST))
    if found != first:
        raise StalePosition(
            f"{where}: Kafka says that offset {first[0]} is committed, and then {found[0]}: it comes up"
        )
    completion = _readable(where, *found)
    if not completion.covers(known):
        raise StalePosition(_stale(where, completion, known))
    if completion is NOTHING_KNOWN:
        return await first_position(clients, group, at, begin)
    _refuse_lost(where, completion, begin)
    return completion


def _readable(where: str, offset: int, metadata: str) -> Completion:
    try:
        return NOTHING_KNOWN if offset < 0 else read_completion(offset, metadata)
    except OffsetLost as error:
        raise OffsetLost(
            f"{where}: what was committed at offset {offset} cannot be read: {error}. Where to go on is unknown, and a "
            "guess would bill twice or lose queries: start the release that wrote it, or decide on an offset "
            "and set it with kafka-consumer-groups.sh --reset-offsets"
        ) from None


def _stale(where: str, read: Completion, known: Completion) -> str:
    return (
        f"{where}: Kafka says that offset {read.base} is committed, and {len(read.done)} records beyond it, "
        f"but this process itself committed offset {known.base} and {len(known.done)}. It does not go on from less: "
        "that would be done twice. The partition asks again. If that does not help, somebody has set the offset back "
        "while workers ran: stop all of the group's workers, and start them again if that was intended"
    )


async def _ask_behind(barrier: Barrier, cluster: Cluster, group: str, at: TopicPartition) -> tuple[int, str]:
    """Committed offset and metadata. Any error but "not yet stable" is raised: the write would have to be repeated."""
    await barrier()
    while True:
        try:
            return (await cluster.committed_with_metadata(group, at.topic, [at.partition], stable=True))[at.partition]
        except UnstableOffsetCommitError:
            await asyncio.sleep(PAUSE_S)


def _refuse_lost(where: str, completion: Completion, begin: int) -> None:
    if any(offset not in completion.done for offset in range(completion.base, min(begin, completion.base + 10_000))):
        raise OffsetLost(lost(where, completion.base, begin))


def lost(where: str, offset: int, begin: int | None = None) -> str:
    """What to tell whoever must decide: records were deleted before they were worked on."""
    stored = "" if begin is None else f", the first that is stored is {begin}"
    return (
        f"{where}: the next record is at offset {offset}{stored}. What lay between was deleted by the topic's "
        "retention before it was worked on: for its age, or, where the topic keeps its producers' stamps "
        "(message.timestamp.type=CreateTime; `tessera doctor` tells, and how to change it), because a producer "
        "stamped it with an old time, or in seconds. Nothing is skipped in silence: look for copies, raise "
        "retention.ms, and to go on without those records stop the stage everywhere and run `tessera offsets "
        "accept-loss`: nobody is billed for them, and nothing is billed twice"
    )
