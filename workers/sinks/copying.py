"""Copies topics to where they are queried: read, put into rows, written in batches, each with its position."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from schemas.envelope import from_record
from schemas.payload import BadRecord, UnknownValue
from schemas.record import Record
from workers.errors import TesseraError
from workers.sinks.rows import BY_TOPIC, Row
from workers.stream.bus import Offsets
from workers.stream.connection.clients import Clients
from workers.stream.reader import as_record, between
from workers.stream.resume import Span, span

BATCH_ROWS = 50_000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
PATIENCE_S = 600.0  # so long a target may be away that was there before
Batch = Mapping[tuple[str, int], Sequence[Row]]  # rows by topic and partition, in the order of their offsets


class TargetDown(TesseraError):
    """What rows are written to is away; it may have taken the last batch, or not."""


class Target(Protocol):
    """Where rows go. `next`: the offset to go on at, by topic and partition."""

    next: Offsets

    def open(self) -> None:
        """Take it for this process, and read where to go on."""

    def close(self) -> None:
        """Let others take it."""

    def write(self, batch: Batch, reached: Offsets) -> None:
        """The rows and the positions that are reached with them: all of it or nothing."""


class RecordSource(Protocol):
    """Whose records are copied."""

    async def span(self, kept: Offsets) -> Span: ...
    def records(self, span: Span) -> AsyncGenerator[Record, None]: ...


@dataclass(frozen=True, slots=True)
class KafkaSource:
    """Topics of Kafka, or what was stamped in them in a period."""

    clients: Clients
    topics: Sequence[str]
    begin: datetime | None = None
    end: datetime | None = None

    async def span(self, kept: Offsets) -> Span:
        return await span(self.clients, self.topics, kept, self.begin, self.end)

    async def records(self, span: Span) -> AsyncGenerator[Record, None]:
        async with aclosing(between(self.clients, span.begins, span.ends)) as records:
            async for record in records:
                yield as_record(record)


Work = Callable[[], Awaitable[None]]


async def patiently(copy: "Copy", work: Work, stop: asyncio.Event, away: Callable[[str], None]) -> None:
    """Open the target, work, and begin again where it stands whenever it was away; `away` is told why.

    TargetDown: it cannot be opened the first time, or for PATIENCE_S.
    """
    clock = asyncio.get_running_loop().time
    was_open, down_s, pause_s = False, None, FIRST_PAUSE_S
    while not stop.is_set() or not was_open:
        try:
            copy.target.open()
            was_open, down_s, pause_s = True, None, FIRST_PAUSE_S
            await work()
            return
        except TargetDown as error:
            down_s = clock() if down_s is None else down_s
            if not was_open or clock() - down_s > PATIENCE_S:
                raise
            away(str(error))
        finally:
            copy.forget()
            copy.target.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause_s)
        pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)


@dataclass
class Copy:
    """One copy of what `holds` wants, by when the broker took it. `told`: after each batch, of all rows that this run
    wrote and how many offsets are left; `unreadable`: records that are no event, and are not in the copy."""

    target: Target
    source: RecordSource
    told: Callable[[Mapping[str, int], int], None]
    holds: Callable[[datetime], bool] = lambda at: True
    batch_rows: int = BATCH_ROWS
    unreadable: int = 0
    written: Counter[str] = field(default_factory=Counter)
    _rows: defaultdict[tuple[str, int], list[Row]] = field(default_factory=lambda: defaultdict(list))
    _count: int = 0

    async def to_the_end(self, stop: asyncio.Event) -> None:
        """Copy what is committed by now, or until `stop` is set: what was read by then is written."""
        wanted = await self.source.span(self.target.next)
        reached = {at: wanted.begins[at] for at in wanted.ends}
        async with aclosing(self.source.records(wanted)) as records:
            async for record in records:
                self._add(record)
                reached[record.topic, record.partition] = record.offset + 1
                if self._count >= self.batch_rows:
                    self._commit(reached, wanted)
                if stop.is_set():
                    break
            else:
                reached = dict(wanted.ends)  # behind the last record there may be markers
        self._commit(reached, wanted)

    async def follow(self, stop: asyncio.Event, every_s: float) -> None:
        """Go on copying until `stop` is set."""
        while not stop.is_set():
            await self.to_the_end(stop)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every_s)

    def forget(self) -> None:
        """What was read and not written: it is read again from where the target stands."""
        self._rows.clear()
        self._count = 0

    def _add(self, record: Record) -> None:
        table = BY_TOPIC[record.topic]
        try:
            event = from_record(record, table.topic)
        except UnknownValue as error:
            raise TesseraError(
                f"{record.place}: {error}: copy with the release that wrote it, or a newer one"
            ) from None
        except BadRecord:
            self.unreadable += 1
            return
        if self.holds(event.taken_at):
            self._rows[record.topic, record.partition].append(table.placed(event, record))
            self._count += 1

    def _commit(self, reached: Offsets, wanted: Span) -> None:
        if not self._rows and all(self.target.next.get(at) == offset for at, offset in reached.items()):
            return
        self.target.write(self._rows, reached)
        for (topic, _), rows in self._rows.items():
            self.written[BY_TOPIC[topic].name] += len(rows)
        self.forget()
        self.told(self.written, sum(end - reached[at] for at, end in wanted.ends.items()))
