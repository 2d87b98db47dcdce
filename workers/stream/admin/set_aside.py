"""One record made a dead letter by hand: what no worker gets past, while none of its stage runs.

It goes the way of a worker: the partition's transactional id, so that whoever else is at work is fenced; the letter and
the group's position in one transaction; and what was finished early stays finished.
"""

from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from aiokafka import TopicPartition

from schemas.dead_letter import Header, dead_letter
from schemas.letter import Place
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from workers.errors import BrokerError, TesseraError
from workers.pipeline import PATH, STAGES
from workers.settings import Settings
from workers.stage import StageSpec
from workers.stream.admin.standing import members_of
from workers.stream.connection.admin_client import LATEST
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import edges
from workers.stream.offsets import WINDOW, Completion
from workers.stream.partition.position import read_position
from workers.stream.partition.position_log import PositionLog
from workers.stream.partition.producer import TransactionalWriter, WriterLost
from workers.stream.reader import as_record, between

BY_HAND = "put here by hand"
READERS = {STAGES[name].consumes.name: STAGES[name] for name in PATH}


@dataclass(frozen=True)
class SetAside:
    """What was done: the record (or the batch that nobody could read), and where its group stood and stands."""

    record: Record
    group: str
    before: Completion
    after: Completion


async def set_aside(settings: Settings, place: Place) -> SetAside:
    """Make the record at `place` a dead letter and let its stage go on behind it.

    TesseraError: the stage runs, the record is finished, there is none, or too much before it is not finished.
    """
    clients, spec, at = Clients(settings), READERS[place.topic], TopicPartition(place.topic, place.partition)
    await refuse_running(clients, spec)
    end = (await edges(clients, [at.topic], LATEST)).get(at)
    if end is None:
        raise TesseraError(f"{at.topic} has no partition {at.partition}")
    log = PositionLog(spec.positions, at)
    await log.find(clients)
    writer = TransactionalWriter(clients, f"{spec.group}.{at.topic}.{at.partition}")
    try:
        await writer.start()
        barrier = partial(writer.barrier, at, spec.group, log.barrier())
        position = (await read_position(clients, spec.group, log, None, barrier)).position
        before = position.completion
        record, is_first = await _find(clients, at, before, place, end)
        after = _after(before, record, is_first)
        await writer.begin()
        letter = dead_letter(record, spec.name, DeadLetterReason.SET_ASIDE, _why(record))
        await writer.send([letter, *log.records(replace(position, completion=after))])
        await writer.commit(at, after.base, after.metadata(), spec.group)
    except WriterLost as error:
        raise BrokerError(
            f"{place}: {error}. Whether it was done is not known: `tessera dlq list --reason SET_ASIDE` tells"
        ) from error
    finally:
        await writer.discard()
    return SetAside(record, spec.group, before, after)


async def refuse_running(clients: Clients, spec: StageSpec) -> None:
    """TesseraError: the stage has running workers."""
    async with clients.cluster() as cluster:
        members = await cluster.retry(lambda: members_of(cluster, spec.group))
    if members:
        raise TesseraError(
            f"group {spec.group} has {members} running {'worker' if members == 1 else 'workers'}: stop stage "
            f"{spec.name} everywhere first. Nothing was done"
        )


async def _find(
    clients: Clients, at: TopicPartition, before: Completion, place: Place, end: int
) -> tuple[Record, bool]:
    """The record, and whether everything before it is finished."""
    if place.offset < before.base or place.offset in before.done:
        raise TesseraError(f"{place} is finished already: nothing was done")
    is_first = True
    async with aclosing(between(clients, {at: before.base}, {at: end})) as records:
        async for found in records:
            record = as_record(found)
            if record.offset >= place.offset:
                if _covers(record, place):
                    return record, is_first
                break
            is_first = is_first and record.offset in before.done
    raise TesseraError(f"{place} holds no record (Kafka marks transactions there, or nothing was written yet)")


def _covers(record: Record, place: Place) -> bool:
    """A batch that nobody can read stands at its last offset, for all of them."""
    about = dict(record.flaw.about) if record.flaw else {}
    return int(about.get(Header.BATCH_FIRST_OFFSET) or record.offset) <= place.offset


def _after(before: Completion, record: Record, is_first: bool) -> Completion:
    finished = before.done | {record.offset}
    if not is_first:
        if record.offset - before.base >= WINDOW:
            raise TesseraError(
                f"{record.offset - before.base:,} offsets before it are not finished: let the stage work on them first"
            )
        return Completion(before.base, finished, before.attempts)
    base = record.offset + 1
    while base in finished:
        base += 1
    return Completion(base, frozenset(offset for offset in finished if offset >= base))


def _why(record: Record) -> str:
    return BY_HAND if record.flaw is None else f"{BY_HAND}; {record.flaw.message}"
