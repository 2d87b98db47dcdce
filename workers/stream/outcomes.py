"""Where a stage that lost its committed offsets had come to, told by what it has published: its outcomes in Kafka.

An output names the event it follows from (ce_causationid) and the query, a dead letter the place of the record. A stage
that works in order has finished everything below the last record with an outcome. One that does not has never worked
on a record WINDOW or more beyond the first unfinished one, so everything that far below the last is finished, and in
between the outcomes tell. What retention has deleted of them cannot be told: then too much is done again, never too
little, as nothing is taken for finished without its outcome but what lies below one.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from schemas.envelope import from_record
from schemas.payload import BadRecord
from schemas.record import Record
from schemas.settled import QuerySettled
from schemas.topics import SETTLED_QUERIES, Topic
from workers.known_ids import KnownIds
from workers.letters import Letter, Place
from workers.pipeline import StageSpec
from workers.stream.clients import Clients
from workers.stream.completion import WINDOW, Completion
from workers.stream.history import Wanted, stored


def outputs_of(spec: StageSpec) -> list[str]:
    """The topics that a stage writes to."""
    return [*(topic.name for topic in spec.publishes), *_letters_of(spec)]


def evidence_of(spec: StageSpec) -> list[str]:
    """Those of them that tell which records are finished: one with an event for each, and the dead letters."""
    return [(spec.remembers or spec.publishes[0]).name, *_letters_of(spec)]


def _letters_of(spec: StageSpec) -> list[str]:
    return [] if spec.watches else [spec.consumes.dead_letters]


@dataclass
class Outcomes:
    """What a stage has published. Memory holds 36 to 72 bytes for each output, and the place of each dead letter."""

    _events: KnownIds = field(default_factory=KnownIds)  # what outputs follow from: with the query, or by digest
    _refused: set[tuple[Place, str]] = field(default_factory=set)  # with their stamps: a topic may have begun anew

    def add(self, record: Record) -> None:
        """Take in an output."""
        said = {name: value.decode(errors="replace") for name, value in record.headers if value}
        letter = Letter(record)
        if source := letter.source:
            self._refused.add((source, letter.timestamp))
        elif "ce_causationid" in said:
            self._events.add(_named(said["ce_causationid"], said.get("ce_correlationid", "")), "")
        elif record.topic == SETTLED_QUERIES.name:  # written back without headers: infra/partitions.md
            self._events.add(QuerySettled.decode(record.value).scored_sha256 or "", "")

    def has(self, record: Record, topic: Topic) -> bool:
        """Whether an outcome of this input record is there."""
        if (Place(record.topic, record.partition, record.offset), str(record.timestamp_ms)) in self._refused:
            return True
        try:
            event = from_record(record, topic)
        except BadRecord:
            return False
        return _named(event.id, event.correlation_id) in self._events or event.digest in self._events


@dataclass
class Reached:
    """How far a stage had come in one partition, whose records are given in order. Memory: two times WINDOW offsets."""

    begin: int
    in_order: bool
    _last: int = -1
    _finished: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _open: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def add(self, offset: int, *, finished: bool) -> None:
        """The next record, and whether its outcome is there."""
        (self._finished if finished else self._open).append(offset)
        self._last = offset if finished else self._last

    @property
    def completion(self) -> Completion:
        """Where to go on; at the begin if nothing is finished."""
        if self._last < 0:
            return Completion(self.begin)
        behind = self._last + 1
        if self.in_order:
            return Completion(behind)
        base = next((offset for offset in self._open if self._last - WINDOW < offset < self._last), behind)
        return Completion(base, frozenset(offset for offset in self._finished if offset > base))


async def reached(clients: Clients, spec: StageSpec, begins: Mapping[int, int]) -> dict[int, Completion]:
    """Where the stage had come to in partitions of its input (number -> first stored offset).

    Reads all that the evidence and these partitions hold. BrokerError: Kafka falls silent, or a topic is missing.
    """
    outcomes = Outcomes()
    async with aclosing(stored(clients, evidence_of(spec))) as records:
        async for record in records:
            outcomes.add(record)
    found = {number: Reached(begin, spec.in_order) for number, begin in begins.items()}
    async with aclosing(stored(clients, [spec.consumes.name], _among(begins))) as records:
        async for record in records:
            found[record.partition].add(record.offset, finished=outcomes.has(record, spec.consumes))
    return {number: one.completion for number, one in found.items()}


def _among(numbers: Iterable[int]) -> Wanted:
    wanted = frozenset(numbers)
    return lambda at, count: at.partition in wanted


def _named(causation_id: str, query_id: str) -> str:
    """Strangers may give two queries one event id."""
    return f"{causation_id} {query_id}"
