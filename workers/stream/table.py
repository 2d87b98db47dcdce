"""A topic as a table in memory: of each key what its committed records say, in their order; the newest, unless folded.

`restore` reads to the end that the topic has when it is asked, from the first record or from where the last one ended;
`follow` does so and goes on. For topics whose keys fit into memory, such as commitments to draw keys, a registry or
budgets. The settled query ids do not: they have a store on disk and a reader of whole batches (deduplication/).
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Generic, TypeAlias, TypeVar

from schemas.envelope import Event, from_record
from schemas.payload import BadRecord, Payload
from schemas.record import Record
from schemas.topics import Topic
from workers.errors import Unsuitable
from workers.stream.bus import Bus, Offsets
from workers.stream.operator_lines import RECORD_PASSED_OVER, TOPIC_MADE_ANEW

log = logging.getLogger(__name__)

P = TypeVar("P", bound=Payload)
V = TypeVar("V")

#: The value of a key from its value so far, None without one, and the next event of that key.
Fold: TypeAlias = "Callable[[V | None, Event[P]], V]"
#: Told of each key that has a new value, and with None of each that is deleted, in their order.
Changed: TypeAlias = "Callable[[str, V | None], None]"
#: Told how many offsets are read, and of how many.
Progress: TypeAlias = Callable[[int, int], None]

MOST_BYTES = 64 * 1024**2
RECORDS_PER_PROGRESS = 1_000


def newest(_: P | None, event: Event[P]) -> P:
    """The fold of a table that holds what was said last."""
    return event.data


class TopicTable(Mapping[str, V], Generic[P, V]):
    """Keys in the order in which they came, with their values.

    A record without a value deletes its key, where the topic is compacted; elsewhere nobody deletes what was said.
    What cannot be read changes nothing: it is counted in `unreadable`, and the first is named in the log. The newest
    records of all keys together have at most `most_bytes` bytes; beyond that Unsuitable ends whoever reads.
    """

    def __init__(
        self,
        bus: Bus,
        topic: Topic,
        fold: "Fold[V, P]",
        *,
        most_bytes: int = MOST_BYTES,
        progress: Progress = lambda done, of: None,
        changed: "Changed[V]" = lambda key, value: None,
    ) -> None:
        self._bus, self._topic, self._fold = bus, topic, fold
        self._most_bytes, self._progress, self._changed = most_bytes, progress, changed
        self._followed, self._values = False, dict[str, V]()
        self._clear()

    def _clear(self) -> None:
        self.unreadable, self._bytes = 0, 0
        while self._values:
            self._changed(self._values.popitem()[0], None)
        self._sizes: dict[str, int] = {}  # of the newest record of each key, bytes
        self._next: dict[tuple[str, int], int] = {}  # offset to be read, by topic and partition

    def __getitem__(self, key: str) -> V:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    async def restore(self) -> None:
        """Everything that is committed by now is in the table. BrokerError: the topic cannot be read to its end.

        RuntimeError: the table is followed, which brings it up to date by itself.
        """
        if self._followed:
            raise RuntimeError(f"the table of {self._topic.name} is followed already")
        await self._restore()

    async def follow(self) -> None:
        """Restore, and take in what is committed from then on, until it is cancelled or, with BrokerError, fails."""
        async with self._bus.read([self._topic.name]) as records:
            await self.restore()
            self._followed = True
            try:
                async for record in records:
                    self._apply(record)
            finally:
                self._followed = False

    async def lag(self) -> int:
        """How many offsets lie behind what was read, at most: a marker of a transaction has one, and is no record."""
        return _distance(self._next, await self._bus.ends([self._topic.name]))

    async def _restore(self) -> None:
        ends = await self._bus.ends([self._topic.name])
        if any(end < self._next.get(at, 0) for at, end in ends.items()):
            TOPIC_MADE_ANEW.tell(log, topic=self._topic.name)
            self._clear()
        missing, count = _distance(self._next, ends), 0
        async with aclosing(self._bus.stored([self._topic.name], since=dict(self._next))) as records:
            async for record in records:
                self._apply(record)
                count += 1
                if count % RECORDS_PER_PROGRESS == 0:
                    self._progress(missing - _distance(self._next, ends), missing)
        for at, end in ends.items():
            self._next[at] = max(end, self._next.get(at, 0))  # markers behind the last record
        self._progress(missing, missing)

    def _apply(self, record: Record) -> None:
        """Take in the next record of its partition; one that was read before changes nothing."""
        at = record.topic, record.partition
        if record.offset < self._next.get(at, 0):
            return
        self._next[at] = record.offset + 1
        if record.key is not None and record.value is None and self._topic.cleanup == "compact":
            self._delete(record.key.decode(errors="replace"))
            return
        try:
            event: Event[P] = from_record(record, self._topic)  # type: ignore[assignment]  # the topic's payload
        except BadRecord as error:
            self._pass_over(record, error)
            return
        self._values[event.subject] = value = self._fold(self._values.get(event.subject), event)
        self._changed(event.subject, value)
        self._account(event.subject, len(record.key or b"") + len(event.value))

    def _delete(self, key: str) -> None:
        if self._values.pop(key, None) is not None:
            self._changed(key, None)
        self._bytes -= self._sizes.pop(key, 0)

    def _account(self, key: str, size: int) -> None:
        self._bytes += size - self._sizes.get(key, 0)
        self._sizes[key] = size
        if self._bytes > self._most_bytes:
            raise Unsuitable(
                f"the newest records of {self._topic.name} have more than {self._most_bytes:,} bytes, the most that is "
                f"held in memory ({len(self):,} keys): delete keys that nobody needs, each by a record without a value"
            )

    def _pass_over(self, record: Record, error: BadRecord) -> None:
        self.unreadable += 1
        if self.unreadable == 1:
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            RECORD_PASSED_OVER.tell(log, **place, error=f"{error.reason.name}: {error}")


def _distance(positions: Offsets, ends: Offsets) -> int:
    return sum(max(0, end - positions.get(at, 0)) for at, end in ends.items())
