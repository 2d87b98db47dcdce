"""Where a stage goes on, set by hand: in its log and for its group in one transaction, while none of it runs."""

from dataclasses import dataclass
from functools import partial

from aiokafka import TopicPartition

from schemas.letter import Place
from workers.errors import BrokerError, OffsetLost, TesseraError
from workers.settings import Settings
from workers.stage import StageSpec
from workers.stream.admin.set_aside import refuse_running
from workers.stream.connection.admin_client import EARLIEST, LATEST
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import edges
from workers.stream.connection.topic_ids import topic_id
from workers.stream.offsets import NOTHING_KNOWN, Completion, read_completion
from workers.stream.partition.position_log import Position, PositionLog
from workers.stream.partition.producer import TransactionalWriter, WriterLost


@dataclass(frozen=True)
class PositionSet:
    """What was done. `before`: as the log and the coordinator say; -1: neither knows."""

    group: str
    before: int
    after: Completion


async def set_position(settings: Settings, spec: StageSpec, place: Place) -> PositionSet:
    """Let the stage go on at `place`: its input topic, a partition, and the offset of the next record.

    Further on, what was finished early stays finished; further back, all of it is worked on again. TesseraError: the
    stage runs, or nothing is stored there.
    """
    clients, at = Clients(settings), TopicPartition(place.topic, place.partition)
    await refuse_running(clients, spec)
    end = await _end(clients, at, place.offset)
    log = PositionLog(spec.positions, at)
    await log.find(clients)
    writer = TransactionalWriter(clients, f"{spec.group}.{at.topic}.{at.partition}")
    try:
        await writer.start()
        before = await _before(clients, spec.group, log, await writer.barrier(at, spec.group, log.barrier()), end)
        after = _moved(before, place.offset)
        await writer.begin()
        await writer.send(log.records(after))
        await writer.commit(at, after.completion.base, after.completion.metadata(), spec.group)
    except WriterLost as error:
        raise BrokerError(
            f"{place}: {error}. Whether it was done is not known: `tessera offsets show` tells"
        ) from error
    finally:
        await writer.discard()
    return PositionSet(spec.group, before.completion.base, after.completion)


async def _end(clients: Clients, at: TopicPartition, offset: int) -> int:
    """Where the partition ends. TesseraError: the offset is beyond it, or before all that is stored."""
    begins, ends = [await edges(clients, [at.topic], edge) for edge in (EARLIEST, LATEST)]
    if at not in ends:
        raise TesseraError(f"{at.topic} has no partition {at.partition}")
    if not begins[at] <= offset <= ends[at]:
        raise TesseraError(
            f"{at.topic} partition {at.partition} stores offsets {begins[at]} to {ends[at]}, not {offset}"
        )
    return ends[at]


async def _before(clients: Clients, group: str, log: PositionLog, below: int, end: int) -> Position:
    """What is known, and not refused where it cannot be read: then it counts as having been at the end."""
    at = log.at
    async with clients.cluster() as cluster:
        id_ = await cluster.retry(partial(topic_id, cluster, at.topic))
        told = await cluster.retry(partial(cluster.committed_with_metadata, group, at.topic, [at.partition]))
        committed = _readable(*told[at.partition])
        try:
            logged = await log.read(cluster, below, id_)
        except OffsetLost:
            return Position(id_, Completion(max(end, committed.base)))
    return (logged or Position(id_, NOTHING_KNOWN)).joined(committed)


def _readable(offset: int, metadata: str) -> Completion:
    """The offset alone, where nobody can read what else was finished."""
    try:
        return read_completion(offset, metadata)
    except OffsetLost:
        return Completion(offset)


def _moved(before: Position, offset: int) -> Position:
    known = before.completion
    if offset >= known.base:
        return Position(before.topic_id, known.joined(Completion(offset)), before.set_back_from)
    return Position(before.topic_id, Completion(offset), max(before.set_back_from, known.base))
