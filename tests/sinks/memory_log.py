"""A log in memory as a source of copies: replies, bills and a credit, with gaps as markers leave them."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition

from schemas.record import Record
from schemas.topics import BY_NAME
from tests.support.builders import SUBMITTED_AT, make_credit, make_record, make_scored, make_settled
from workers.stream.bus import Offsets
from workers.stream.resume import Span

FIRST_MS = int(SUBMITTED_AT.timestamp() * 1_000)
QUARTER_MS = 900_000


def records_of(auctions: int) -> list[Record]:
    """Replies, bills and a credit in three partitions, a quarter of an hour apart, with gaps as markers leave them."""
    found: list[Record] = []
    for seed in range(auctions):
        reply, bills = make_settled(make_scored(seed))
        events = [reply, *bills, *([make_credit(bills[0], 1)] if bills[0].data.charge_micros and seed == 0 else [])]
        found += [
            make_record(
                event, BY_NAME[event.type], offset=2 * seed, partition=index % 2, timestamp_ms=at, by_broker=True
            )
            for index, event in enumerate(events)
            for at in [FIRST_MS + seed * QUARTER_MS]
        ]
    return found


RECORDS = records_of(6)


@dataclass(frozen=True)
class Log:
    """A source in memory."""

    held: Sequence[Record] = tuple(RECORDS)

    async def span(self, kept: Offsets) -> Span:
        places = {TopicPartition(one.topic, one.partition) for one in self.held}
        ends = {at: 2 + max(one.offset for one in self.held if (one.topic, one.partition) == at) for at in places}
        return Span({at: kept.get(at, 0) for at in places}, ends)

    async def records(self, span: Span) -> AsyncGenerator[Record, None]:
        for one in self.held:
            if (
                span.begins[one.topic, one.partition]
                <= one.offset
                < span.ends[TopicPartition(one.topic, one.partition)]
            ):
                yield one
