"""Offsets of a period: where records lie that brokers or producers stamped in it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from workers.stream.bus import Offsets
from workers.stream.connection.admin_client import LATEST
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import edges

#: Read beyond the end of a period: clocks of brokers differ, so a record may have an older stamp than one before it.
STAMPS_MAY_DIFFER = timedelta(hours=1)
NOWHERE = -1  # what Kafka answers where no record is stamped then or later


async def begins_at(clients: Clients, topics: Sequence[str], begin: datetime) -> Offsets:
    """The first offset of each partition with a stamp of `begin` or later; the partition's end where there is none."""
    return await _first_stamped(clients, topics, begin)


async def ends_at(clients: Clients, topics: Sequence[str], end: datetime) -> Offsets:
    """The offset of each partition behind which no record is stamped before `end`, if clocks differ by an hour at most.

    More lies before it than was stamped before `end`: whoever reads looks at each record's time as well.
    """
    return await _first_stamped(clients, topics, end + STAMPS_MAY_DIFFER)


async def _first_stamped(clients: Clients, topics: Sequence[str], at: datetime) -> Offsets:
    ends = await edges(clients, topics, LATEST)  # asked first: what comes in between is behind both
    found = await edges(clients, topics, max(0, int(at.timestamp() * 1_000)))
    return {place: min(end, offset) if (offset := found[place]) != NOWHERE else end for place, end in ends.items()}
