"""What keeps an old committed offset from billing twice, each part of it switched off: only a campaign does that."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from workers.errors import OffsetLost
from workers.stream.connection.clients import Clients
from workers.stream.deduplication.deduplicator import Once, Repeated, ScoredAgain
from workers.stream.offsets import read_completion
from workers.stream.partition import transaction
from workers.stream.partition.position import Found
from workers.stream.partition.position_log import Position, PositionLog

WITHOUT = "CHAOS_WITHOUT"  # the variable that names, in a worker's environment, what it goes without


def forget() -> None:
    """Settlement settles an auction that it knows again. Another auction of a known query id is still refused."""
    refuse_known = Once._refuse_known

    def refuse_only_others(once: Once, event: Any) -> None:
        with suppress(Repeated, ScoredAgain):
            refuse_known(once, event)

    Once._refuse_known = refuse_only_others  # type: ignore[method-assign]


def believe() -> None:
    """Stages go on from whatever the group's coordinator says first, and do not read their own logs of positions."""

    async def first_answer(clients: Clients, group: str, logged: PositionLog, *_: object) -> Found:
        at = logged.at
        async with clients.cluster() as cluster:
            found = await cluster.retry(lambda: cluster.committed_with_metadata(group, at.topic, [at.partition]))
        offset, metadata = found[at.partition]
        if offset < 0:
            raise OffsetLost("no offset is committed")
        return Found(Position("", read_completion(offset, metadata)), is_written=True, is_stale=False)

    transaction.read_position = first_answer


#: By name: the `memory` of what is settled, and the stages' own logs of their `position`.
WALLS: dict[str, Callable[[], None]] = {"memory": forget, "position": believe}


def take_down(names: str) -> None:
    """Those named, with commas between."""
    for name in filter(None, names.split(",")):
        WALLS[name]()
