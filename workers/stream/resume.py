"""Where a reader that keeps its own positions goes on, and how far it can read now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aiokafka import TopicPartition

from workers.errors import OffsetLost
from workers.stream.bus import Offsets
from workers.stream.connection.admin_client import EARLIEST, LATEST
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import edges
from workers.stream.period import begins_at, ends_at


@dataclass(frozen=True, slots=True)
class Span:
    """From where to where partitions are read."""

    begins: Offsets
    ends: dict[TopicPartition, int]


async def span(
    clients: Clients, topics: Sequence[str], kept: Offsets, begin: datetime | None = None, end: datetime | None = None
) -> Span:
    """From the positions that are kept to the end of what is committed; partitions without one begin at `begin`, or at
    their first record.

    OffsetLost: what comes next is no longer stored, or the topic was begun anew.
    """
    first = await edges(clients, topics, EARLIEST)
    ends = await edges(clients, topics, LATEST, stable=True)
    begins = dict(first) | dict(await begins_at(clients, topics, begin) if begin else {}) | dict(kept)
    limits = await ends_at(clients, topics, end) if end else {}
    for at, last in ends.items():
        if at in kept and not first[at] <= kept[at] <= last:
            raise _lost(at, kept[at], first[at], last)
    return Span(begins, {at: max(begins[at], min(last, limits.get(at, last))) for at, last in ends.items()})


def _lost(at: TopicPartition, offset: int, first: int, end: int) -> OffsetLost:
    return OffsetLost(
        f"{at.topic} partition {at.partition} holds offsets {first} to {end}, and the copy goes on at {offset}: "
        "records were deleted before they were copied, or the topic was begun anew. Copy anew, to another place"
    )
