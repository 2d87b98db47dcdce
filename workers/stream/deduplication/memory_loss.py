"""A memory of settled queries that is gone: nobody begins anew with an empty one unless somebody has accepted that."""

from functools import partial

from schemas.topics import SETTLED, SETTLED_QUERIES
from workers.errors import AccessDenied, MemoryLost
from workers.stage import StageSpec
from workers.stream.connection.admin_client import EARLIEST, LATEST
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import edges
from workers.stream.deduplication.samples import oldest

MEMORY_IS_LOST = f"""\
{SETTLED_QUERIES.name} was never written, and {SETTLED.name} was: the memory of what is settled is gone.
The topic was deleted and made anew, the cluster was restored without it, or a release that had none settled last.
Settlement would bill again whatever comes again, so it does not start. Stop it everywhere and restore that topic from a
copy (infra/partitions.md says how it is written). Where there is no copy, and after an upgrade from a release without
that topic, `tessera topics create --begin latest` accepts the loss: offsets that are committed stay, and where there
are none, what waits gets neither a reply nor a dead letter. From then on, what was settled before and comes again, from
its producer, by `tessera dlq redrive` or by an offset that is set back, is billed a second time"""


async def refuse_lost_memory(clients: Clients, spec: StageSpec) -> None:
    """MemoryLost: the stage has published, remembers nothing, and nobody has accepted that."""
    if await memory_is_lost(clients, spec):
        raise MemoryLost(f"stage {spec.name}: {MEMORY_IS_LOST}")


async def memory_is_lost(clients: Clients, spec: StageSpec) -> bool:
    """Whether the stage has published, and its memory has never held a record: both are written together.

    Both are asked of all partitions, as one without queries is empty everywhere. The loss is accepted by an offset that
    the stage's group has committed in its memory's topic, where nobody reads: Kafka deletes that offset with the topic.
    """
    if spec.remembers is None or await _remembers(clients, spec.remembers.name):
        return False
    if not await _has_published(clients, spec.publishes[0].name) or await _is_accepted(clients, spec):
        return False
    return not await _remembers(clients, spec.remembers.name)  # nor by the owner of another partition meanwhile


async def _remembers(clients: Clients, memory: str) -> bool:
    """Whether a record of it is or was committed, or may be at any moment: what the stage has published with it may be
    visible before.
    """
    return await _was_written(clients, memory) or await _is_open(clients, memory)


async def _has_published(clients: Clients, topic: str) -> bool:
    try:
        return await _was_written(clients, topic)
    except AccessDenied:  # stages need no right to read what they write: then that somebody wrote has to do
        return True


async def _was_written(clients: Clients, topic: str) -> bool:
    """Whether a record is committed, or was and is deleted: what was aborted leaves offsets behind, too."""
    if any((await edges(clients, [topic], EARLIEST)).values()):
        return True
    return any((await oldest(clients, topic)).values())


async def _is_open(clients: Clients, topic: str) -> bool:
    """Whether somebody's transaction is."""
    return await edges(clients, [topic], LATEST, stable=True) != await edges(clients, [topic], LATEST)


async def _is_accepted(clients: Clients, spec: StageSpec) -> bool:
    memory = spec.remembers.name if spec.remembers else ""
    async with clients.cluster() as cluster:
        numbers = [partition.number for partition in (await cluster.retry(cluster.partitions))[memory]]
        committed = await cluster.retry(partial(cluster.committed, spec.group, memory, numbers))
    return all(offset >= 0 for offset in committed.values())
