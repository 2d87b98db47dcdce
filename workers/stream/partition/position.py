"""Where a group goes on in a partition: what its stage's log says, what its coordinator says, and what is stored."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from workers.errors import OffsetLost, StalePosition
from workers.stream.connection.access_errors import READ, denied
from workers.stream.connection.admin_client import EARLIEST, Cluster
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import offset as offset_at
from workers.stream.connection.offset_fetch import UnstableOffsetCommitError
from workers.stream.connection.topic_ids import topic_id
from workers.stream.offsets import NOTHING_KNOWN, Completion, read_completion
from workers.stream.operator_lines import POSITION_AHEAD
from workers.stream.partition.added_partitions import first_position
from workers.stream.partition.position_log import Position, PositionLog

log = logging.getLogger(__name__)

#: Writes into the position log and to the group's coordinator, and aborts it; the offset of the first.
Barrier = Callable[[], Awaitable[int]]

PAUSE_S = 0.01  # until markers of a transaction are written, by brokers that say so


@dataclass(frozen=True)
class Found:
    """Where a group goes on. `is_written`: the log and the coordinator both say just that. `is_stale`: the
    coordinator says less than is known.
    """

    position: Position
    is_written: bool
    is_stale: bool


async def read_position(
    clients: Clients, group: str, logged: PositionLog, known: Position | None, barrier: Barrier
) -> Found:
    """What the group has finished: all that the stage's log, the coordinator and `known` say together; `known` is what
    this process has committed there.

    Everything that was acknowledged before the barrier lies below it in the log, whatever has become of the coordinator
    (decision 0011). A log that has nothing yet is that of a group which an older release has run: then the coordinator
    alone knows, and it is asked twice, each time behind a write that it must acknowledge.

    StalePosition: nothing is logged, and the coordinator's answers differ, or are older than `known`. OffsetLost:
    nobody knows where to go on, it cannot be read, or what comes there is no longer stored.
    """
    at = logged.at
    where = f"group {group}, {at.topic} partition {at.partition}"
    async with clients.cluster() as cluster:
        id_ = await cluster.retry(partial(topic_id, cluster, at.topic))
        known = known if known is not None and known.topic_id == id_ else None
        below, told = await _ask_behind(barrier, cluster, group, at)
        with _reading(clients):
            position = await logged.read(cluster, below, id_)
        again = told if position else (await _ask_behind(barrier, cluster, group, at))[1]
        begin = await cluster.retry(partial(offset_at, cluster, at, EARLIEST))
    if position is not None:
        found = _together(where, position, _readable(where, at, *told), known)
    else:
        agreed = _agreed(where, told, again, _readable(where, at, *again), known)
        first = agreed if agreed is not NOTHING_KNOWN else await first_position(clients, group, at, begin)
        found = Found(Position(id_, first), is_written=False, is_stale=False)
    _refuse_lost(where, found.position.completion, begin)
    return found


@contextmanager
def _reading(clients: Clients) -> Iterator[None]:
    """AccessDenied for a log that this user may not read, with the right that is missing."""
    try:
        yield
    except KafkaError as error:
        if missing := denied(error, clients.user, READ):
            raise missing from error
        raise


def _together(where: str, logged: Position, told: Completion, known: Position | None) -> Found:
    """Whoever knows of more is right: what is finished stays so, unless somebody has set the position back since."""
    position = logged.joined(told)
    if known is not None:
        position = position.joined(known.completion)
    is_stale = not told.covers(position.completion)
    if is_stale:
        POSITION_AHEAD.tell(
            log,
            where=where,
            offset=position.completion.base,
            logged=logged.completion.base,
            told=told.base,
            known=-1 if known is None else known.completion.base,
        )
    return Found(position, position.completion == told == logged.completion, is_stale)


def _agreed(
    where: str, first: tuple[int, str], second: tuple[int, str], read: Completion, known: Position | None
) -> Completion:
    """What the coordinator says twice, and this process does not know better."""
    if second != first:
        raise StalePosition(
            f"{where}: Kafka says that offset {first[0]} is committed, and then {second[0]}: it comes up"
        )
    if known is not None and not read.covers(known.completion):
        raise StalePosition(_stale(where, read, known.completion))
    return read


def _readable(where: str, at: TopicPartition, offset: int, metadata: str) -> Completion:
    try:
        return read_completion(offset, metadata)
    except OffsetLost as error:
        raise OffsetLost(
            f"{where}: what was committed at offset {offset} cannot be read: {error}. Where to go on is unknown, and a "
            "guess would bill twice or lose queries: start the release that wrote it, or decide on an offset "
            f"and set it with `tessera offsets set {at.topic}/{at.partition}/OFFSET`"
        ) from None


def _stale(where: str, read: Completion, known: Completion) -> str:
    return (
        f"{where}: Kafka says that offset {read.base} is committed, and {len(read.done)} records beyond it, "
        f"but this process itself committed offset {known.base} and {len(known.done)}. It does not go on from less: "
        "that would be done twice. The partition asks again. If that does not help, the stage's position topic has "
        "lost what was written there, and the coordinator too: stop all of the group's workers, and start them again "
        "if that was intended"
    )


async def _ask_behind(
    barrier: Barrier, cluster: Cluster, group: str, at: TopicPartition
) -> tuple[int, tuple[int, str]]:
    """The barrier's offset, and the committed offset with its metadata. Any error but "not yet stable" is raised: the
    write would have to be repeated.
    """
    below = await barrier()
    while True:
        try:
            found = await cluster.committed_with_metadata(group, at.topic, [at.partition], stable=True)
            return below, found[at.partition]
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
