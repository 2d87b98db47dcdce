"""What keeps an old committed offset from billing twice, each part of it switched off: only a campaign does that."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiokafka import TopicPartition

from workers.errors import OffsetLost
from workers.stream.connection.clients import Clients
from workers.stream.deduplication.deduplicator import Once, Repeated, ScoredAgain
from workers.stream.offsets import Completion, read_completion
from workers.stream.partition import transaction

WITHOUT = "CHAOS_WITHOUT"  # the variable that names, in a worker's environment, what it goes without


def forget() -> None:
    """Settlement settles an auction that it knows again. Another auction of a known query id is still refused."""
    refuse_known = Once._refuse_known

    def refuse_only_others(once: Once, event: Any) -> None:
        with suppress(Repeated, ScoredAgain):
            refuse_known(once, event)

    Once._refuse_known = refuse_only_others  # type: ignore[method-assign]


def believe() -> None:
    """Stages go on from whatever Kafka says first, though it may not have read its log."""

    async def first_answer(clients: Clients, group: str, at: TopicPartition, *_: object) -> Completion:
        async with clients.cluster() as cluster:
            found = await cluster.retry(lambda: cluster.committed_with_metadata(group, at.topic, [at.partition]))
        offset, metadata = found[at.partition]
        if offset < 0:
            raise OffsetLost("no offset is committed")
        return read_completion(offset, metadata)

    transaction.read_position = first_answer


#: By name: the `memory` of what is settled, and the `position` that is believed only behind a write.
WALLS: dict[str, Callable[[], None]] = {"memory": forget, "position": believe}


def take_down(names: str) -> None:
    """Those named, with commas between."""
    for name in filter(None, names.split(",")):
        WALLS[name]()
