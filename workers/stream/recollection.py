"""What a stage has remembered of one partition: the topic read to its end before the partition's first record."""

import time
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from workers.errors import BrokerError
from workers.pipeline import StageSpec
from workers.stream.clients import Clients
from workers.stream.cluster import EARLIEST, LATEST
from workers.stream.once import Once
from workers.stream.placement import Placement
from workers.stream.reading import POLL_MS, RECORDS_PER_POLL, SILENCE_S, as_record, edges, reader
from workers.stream.samples import check_placement


async def check_partitions(clients: Clients, spec: StageSpec) -> int:
    """How many partitions the stage reads. BrokerError: a topic is missing, its memory is cut up otherwise than its
    input, or (Misplaced) holds ids in other partitions than they belong to.
    """
    remembers = [] if spec.remembers is None else [spec.remembers.name]
    places = [place.topic for place in await edges(clients, [spec.consumes.name, *remembers], LATEST)]
    counts = {topic: places.count(topic) for topic in (spec.consumes.name, *remembers)}
    if len({*counts.values()}) > 1:
        raise BrokerError(
            f"stage {spec.name}: {' and '.join(f'{topic} has {count}' for topic, count in counts.items())} partitions. "
            "They must have the same number: else a partition's owner does not know which of its queries were "
            "settled, and one could be billed twice. Create the second topic anew, with the first one's number "
            "(`tessera topics create --partitions`), and fill it from the old one: infra/partitions.md"
        )
    for topic in remembers:
        await check_placement(clients, topic)
    return counts[spec.consumes.name]


async def recollect(clients: Clients, spec: StageSpec, number: int) -> Once:
    """The memory of input partition `number`: everything that the same partition of `remembers` holds by now.

    To be called when the partition's transactional id is initialised: only then nothing of a predecessor's is under
    way, and the end of the partition is the end of what it has remembered. BrokerError: it cannot be read to its end,
    brings nothing for SILENCE_S, or (Misplaced) holds an id of another partition.
    """
    if spec.remembers is None:
        return Once(None)
    place = TopicPartition(spec.remembers.name, number)
    begins, ends = [await edges(clients, [place.topic], edge) for edge in (EARLIEST, LATEST)]
    begin, end, placement = begins[place], ends[place], Placement(place.topic, len(ends))
    once = Once(spec.remembers, placement)
    if begin < end:
        try:
            async with reader(clients, {place: begin}) as consumer:
                async for record in _until(consumer, place, end):
                    placement.check(record.key, number, record.offset)
                    once.recall(as_record(record))
        except KafkaError as error:
            raise BrokerError(f"{place.topic} partition {number} cannot be read: {error!r}") from error
    return once


async def _until(consumer: Any, place: TopicPartition, end: int) -> AsyncIterator[Any]:
    """The partition's committed records below `end`."""
    position, moved_at = -1, time.monotonic()
    while (now_at := await consumer.position(place)) < end:
        if now_at > position:
            position, moved_at = now_at, time.monotonic()
        elif time.monotonic() - moved_at > SILENCE_S:
            raise BrokerError(
                f"Kafka has had no committed record of {place.topic} partition {place.partition} for {SILENCE_S:g} s "
                f"although its end, {end}, is not reached: somebody else has a transaction open there"
            )
        for records in (await consumer.getmany(place, timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL)).values():
            for record in records:
                yield record
