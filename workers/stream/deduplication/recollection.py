"""What a stage has remembered of one partition: its store, brought up to date before the partition's first record."""

import contextlib
from functools import partial

from workers.errors import Unsuitable
from workers.stage import StageSpec
from workers.stream.connection.admin_client import LATEST
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import edges
from workers.stream.deduplication.deduplicator import Once
from workers.stream.deduplication.folder import Stores
from workers.stream.deduplication.memory_loss import refuse_lost_memory
from workers.stream.deduplication.restore import Restore
from workers.stream.deduplication.samples import check_placement
from workers.stream.deduplication.store import StoreFailed
from workers.stream.deduplication.window import Window
from workers.stream.wire.partitioner import Placement

MOST_FRESH = 5_000  # ids held in memory until they are read back


async def check_partitions(clients: Clients, spec: StageSpec) -> int:
    """How many partitions the stage reads. BrokerError: a topic is missing, its memory is cut up otherwise than its
    input, or (Misplaced) holds ids in other partitions than they belong to.
    """
    remembers = [] if spec.remembers is None else [spec.remembers.name]
    topics = [spec.consumes.name, *remembers]
    await _refuse_without_positions(clients, spec)
    places = [place.topic for place in await edges(clients, topics, LATEST)]
    counts = {topic: places.count(topic) for topic in (spec.consumes.name, *remembers)}
    if len({*counts.values()}) > 1:
        raise Unsuitable(
            f"stage {spec.name}: {' and '.join(f'{topic} has {count}' for topic, count in counts.items())} partitions. "
            "They must have the same number: else a partition's owner does not know which of its queries were "
            "settled, and one could be billed twice. Create the second topic anew, with the first one's number "
            "(`tessera topics create --partitions`), and fill it from the old one: infra/partitions.md"
        )
    for topic in remembers:
        await check_placement(clients, topic)
    return counts[spec.consumes.name]


async def _refuse_without_positions(clients: Clients, spec: StageSpec) -> None:
    """The topic is missing after an upgrade from a release that had none: no other start makes it."""
    async with clients.cluster() as cluster:
        there = await cluster.retry(cluster.partitions)
    if spec.positions not in there and spec.consumes.name in there:
        raise Unsuitable(
            f"Kafka has no topic {spec.positions}, or {clients.user} may not see it. It says where the stage stands. "
            "Run `tessera topics create`, and, where brokers ask for rights, `tessera principals create "
            f"auction.{spec.name}` (infra/upgrading.md)"
        )


class Recollection:
    """The memory of input partition `number`, for as long as this process has the partition: its store outlives doubts.

    Nothing is remembered by a stage that has no topic for it.
    """

    def __init__(self, clients: Clients, spec: StageSpec, number: int, stores: Stores, window: Window) -> None:
        self._clients, self._spec, self._topic, self._number = clients, spec, spec.remembers, number
        self._stores, self._window = stores, window
        self._restore: Restore | None = None  # with an open store

    async def read(self) -> Once:
        """Everything that the same partition of `remembers` holds by now, as far as it is not forgotten.

        To be called when the partition's transactional id is initialised: only then nothing of a predecessor's is
        under way, and the end of the partition is the end of what it has remembered. BrokerError: it cannot be read to
        its end, brings nothing for long, (Misplaced) holds an id of another partition, or the disk fails. MemoryLost:
        the topic was never written, although the stage has published; the store, which may know ids, stays as it is.
        """
        if self._topic is None:
            return Once(None)
        placement = Placement(self._topic.name, len(await edges(self._clients, [self._topic.name], LATEST)))
        if self._restore is None or self._restore.placement != placement:
            self.close()
            store = await self._stores.open(placement, self._number)
            self._restore = Restore(self._topic, self._number, placement, store, self._window)
        restore = self._restore
        await self._run(restore)
        return Once(self._topic, restore.store, self._window, placement)

    async def save(self, once: Once) -> None:
        """Between two transactions: read back what was committed, once that is much. BrokerError, as `read`."""
        if self._restore is not None and once.fresh >= MOST_FRESH:
            await self._run(self._restore)
            once.drop_stored()

    async def _run(self, restore: Restore) -> None:
        try:
            await restore.run(self._clients, partial(refuse_lost_memory, self._clients, self._spec))
        except StoreFailed:
            self.close()  # it is opened anew
            raise

    def close(self) -> None:
        """Let go of the store; what it holds stays on disk."""
        restore, self._restore = self._restore, None
        if restore is not None:
            with contextlib.suppress(StoreFailed):
                restore.store.close()
