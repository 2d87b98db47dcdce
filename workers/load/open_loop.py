"""The load itself: each record is sent when it is due, whatever became of those before.

Whoever waits for an answer before the next query (a closed loop) sends least when the pipeline is slowest, and leaves
out the very queries that would have waited longest (coordinated omission). Here nothing waits, and a query's time
begins when it was due, also where this process was late in sending it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from schemas.letter import DeadLetter
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from schemas.reply import ReplySettled
from schemas.topics import DEAD_LETTERS, SETTLED
from workers.errors import BrokerError
from workers.load.traffic import Arrival, ArrivalKind

#: A reply and its charges are published in one transaction: who sees the reply can see them.
ANSWER_TOPICS = (SETTLED.name, *DEAD_LETTERS)
UNANSWERED = "unanswered"

Clock = Callable[[], float]
Write = Callable[[Arrival], Awaitable[None]]


@dataclass(slots=True)
class Trip:
    """What became of one arrival; times in seconds after the beginning."""

    arrival: Arrival
    sent_s: float | None = None
    answered_s: float | None = None
    outcome: str = UNANSWERED
    error: str = ""  # why Kafka did not take the record, as far as is known


class Trips:
    """All arrivals and their answers. One clock takes every time."""

    def __init__(self, plan: Iterable[Arrival], clock: Clock) -> None:
        self.all = [Trip(arrival) for arrival in plan]
        self._open = {(trip.arrival.query_id, trip.arrival.kind is ArrivalKind.DUPLICATE): trip for trip in self.all}
        self._clock, self._began_s = clock, clock()

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._began_s

    @property
    def unanswered(self) -> int:
        return len(self._open)

    def add(self, record: Record) -> None:
        """A record of ANSWER_TOPICS; those of strangers are passed over, and so is all that comes after an answer."""
        letter = DeadLetter(record) if record.topic in DEAD_LETTERS else None
        is_duplicate = letter is not None and letter.reason == DeadLetterReason.DUPLICATE_QUERY.name
        key = (record.key or b"").decode(errors="replace")
        if trip := self._open.pop((key, is_duplicate), None):
            trip.answered_s = self.elapsed_s
            trip.outcome = _settled(record) if letter is None else f"refused {letter.reason}"


async def measure(trips: Trips, write: Write, records: AsyncIterator[Record], patience_s: float) -> None:
    """Send all arrivals, each when it is due, and wait up to `patience_s` after the last for answers.

    Any error but one of Kafka that concerns one record ends it.
    """
    reading = asyncio.create_task(_read(trips, records))
    sending = asyncio.create_task(_send(trips, write))
    try:
        await asyncio.wait([sending, reading], return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
        await sending
        if (await asyncio.wait([reading], timeout=patience_s))[0]:
            reading.result()
    finally:
        await _end((sending, reading))


async def _send(trips: Trips, write: Write) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for trip in trips.all:
                await asyncio.sleep(max(0.0, trip.arrival.due_s - trips.elapsed_s))
                trip.sent_s = trips.elapsed_s
                group.create_task(_write(trip, write))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _write(trip: Trip, write: Write) -> None:
    try:
        await write(trip.arrival)
    except BrokerError as error:  # it may have the record all the same: an answer still counts
        trip.error = str(error)


async def _read(trips: Trips, records: AsyncIterator[Record]) -> None:
    while trips.unanswered:
        trips.add(await anext(records))


async def _end(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _settled(record: Record) -> str:
    settled = ReplySettled.decode(record.value)
    return f"{settled.outcome} {settled.void_reason.name}" if settled.void_reason else settled.outcome
