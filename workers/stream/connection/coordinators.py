"""Coordinators of groups that have failed for good: the broker that is named for one says that it is none.

One may fail while it comes up (decision 0011). Every client is sent to that broker, which sends it away: from outside
that looks like a Kafka that needs time, for ever.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError, NotCoordinatorForGroupError

from workers.stream.connection.admin_client import GROUP, PAUSE_S, Cluster

LOG_OF_OFFSETS = "__consumer_offsets"
ASKED_FOR_S = 5.0  # far longer than a partition is without a coordinator when its leader changes
REMEDY = (
    "If it goes on, that coordinator failed while it came up: restart this broker, or let another one lead that "
    "partition. Until then its stages wait, or end with 70; no record is lost, and none billed twice"
)


@dataclass(frozen=True)
class FailedCoordinator:
    """What the broker said that is named as the group's coordinator, whose state is in this partition of the log."""

    group: str
    broker: int
    partition: int
    answer: str

    def __str__(self) -> str:
        return (
            f"broker {self.broker} is named as the coordinator of group {self.group} ({LOG_OF_OFFSETS} partition "
            f"{self.partition}), and has answered for {ASKED_FOR_S:g} s that it is not ({self.answer})"
        )


async def failed_coordinators(cluster: Cluster, groups: Mapping[str, str]) -> list[FailedCoordinator]:
    """Of these groups (group -> a topic of its). KafkaError: another one than those that say so.

    One that reads its log still (COORDINATOR_LOAD_IN_PROGRESS) has not failed, and one that moves meanwhile neither.
    """
    count = len((await cluster.retry(cluster.partitions)).get(LOG_OF_OFFSETS, ())) or 1
    found = await asyncio.gather(*(_watched(cluster, group, topic) for group, topic in groups.items()))
    told = zip(groups, found, strict=True)
    return [FailedCoordinator(group, said[0], offsets_partition(group, count), said[1]) for group, said in told if said]


def offsets_partition(group: str, count: int) -> int:
    """Which of `count` partitions of the log of offsets has this group: Java's hash of its name, without its sign."""
    hashed = 0
    for letter in group:
        hashed = (31 * hashed + ord(letter)) & 0xFFFFFFFF
    size = min(hashed, 2**32 - hashed)  # of 32 bits, two's complement
    return size % count if size < 2**31 else 0


async def _watched(cluster: Cluster, group: str, topic: str) -> tuple[int, str] | None:
    """Broker and answer, if it is the same one that refuses all the time."""
    brokers, said = set[int](), ""
    clock = asyncio.get_running_loop().time
    until = clock() + ASKED_FOR_S
    while clock() < until:
        try:
            brokers.add(await cluster.coordinator(GROUP, group))
            await cluster.committed(group, topic, [0])
        except (NotCoordinatorForGroupError, GroupCoordinatorNotAvailableError) as error:
            said = error.message
        except KafkaError as error:
            if not error.retriable:
                raise
            return None
        else:
            return None
        await asyncio.sleep(PAUSE_S)
    return (brokers.pop(), said) if len(brokers) == 1 else None
