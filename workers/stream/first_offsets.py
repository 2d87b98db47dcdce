"""The first offset of each consumer group in each partition: a stage never guesses where to begin."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka.errors import (
    IllegalGenerationError,
    NotCoordinatorForGroupError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from workers.errors import BrokerError
from workers.settings import Settings
from workers.stream.clients import Clients
from workers.stream.cluster import EARLIEST, Cluster, Partition
from workers.stream.completion import Completion
from workers.stream.reading import offsets


@dataclass(frozen=True)
class FirstOffsets:
    """What `initialise_offsets` did for one group: partitions that got an offset, and those that had one."""

    group: str
    topic: str
    partitions_written: int
    partitions_kept: int


async def initialise_offsets(settings: Settings, groups: Mapping[str, str]) -> tuple[FirstOffsets, ...]:
    """Give each group (group -> its topic) a first offset in every partition that has none, and read it back.

    The first offset is the start of the partition, 0 in a new topic. One that exists is never moved.
    BrokerError: no broker answers, the topic is missing, or the group has running workers.
    """
    async with Clients(settings).cluster() as cluster:
        topics = await cluster.insist(cluster.partitions)
        return tuple([await _initialise(cluster, group, topic, topics.get(topic)) for group, topic in groups.items()])


async def _initialise(
    cluster: Cluster, group: str, topic: str, partitions: tuple[Partition, ...] | None
) -> FirstOffsets:
    if not partitions:
        raise BrokerError(f"topic {topic} does not exist; `tessera topics create` makes it")
    starts = await offsets(cluster, topic, EARLIEST)
    written: set[int] = set()
    await cluster.insist(lambda: _commit_missing(cluster, group, topic, starts, written))
    return FirstOffsets(group, topic, len(written), len(partitions) - len(written))


async def _commit_missing(
    cluster: Cluster, group: str, topic: str, starts: Mapping[int, int], written: set[int]
) -> None:
    """Commit where nothing is committed; a retriable error until all are there. Adds to `written` what it wrote."""
    missing = without_offset(await cluster.committed(group, topic, starts))
    if not missing:
        return
    written |= missing
    try:
        await cluster.commit(group, topic, {number: Completion(starts[number]) for number in missing})
    except (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError):
        raise BrokerError(f"group {group} has running workers: stop them, then set its first offsets") from None
    if still := without_offset(await cluster.committed(group, topic, starts)):
        raise NotCoordinatorForGroupError(f"group {group}: no offset yet in partitions {sorted(still)} of {topic}")


def without_offset(committed: Mapping[int, int]) -> set[int]:
    """The partitions where nothing is committed."""
    return {number for number, offset in committed.items() if offset < 0}
