"""Where a group goes on in a partition: what it has committed, checked against what the partition still stores."""

from aiokafka import TopicPartition

from workers.errors import OffsetLost
from workers.stream.added_partitions import first_position
from workers.stream.clients import Clients
from workers.stream.cluster import EARLIEST, Cluster
from workers.stream.completion import Completion, read_completion


async def read_position(clients: Clients, group: str, at: TopicPartition) -> Completion:
    """What the group has finished. OffsetLost: it has no offset, an unreadable one, or one that is no longer stored."""
    async with clients.cluster() as cluster:
        found = await cluster.insist(lambda: cluster.committed_with_metadata(group, at.topic, [at.partition]))
        begin = await cluster.insist(lambda: _begin(cluster, at))
    where, (offset, metadata) = f"group {group}, {at.topic} partition {at.partition}", found[at.partition]
    if offset < 0:
        return await first_position(clients, group, at, begin)
    try:
        completion = read_completion(offset, metadata)
    except OffsetLost as error:
        raise OffsetLost(
            f"{where}: what was committed at offset {offset} cannot be read: {error}. Where to go on is unknown, and a "
            "guess would bill twice or lose queries: start the release that wrote it, or decide on an offset "
            "and set it with kafka-consumer-groups.sh --reset-offsets"
        ) from None
    _refuse_lost(where, completion, begin)
    return completion


async def _begin(cluster: Cluster, at: TopicPartition) -> int:
    """The first offset that is stored."""
    partitions = [one for one in (await cluster.partitions())[at.topic] if one.number == at.partition]
    return (await cluster.offsets(at.topic, partitions, EARLIEST))[at.partition]


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
