"""Where a stage that lost its committed offsets had come to, told by what it has published: its outcomes in Kafka.

An output names the event it follows from (ce_causationid) and the query, a dead letter the place of the record. A stage
that works in order has finished everything below the last record with an outcome of its own: a record that an operator
set aside by hand says nothing of those before it. No record is finished, by the stage or by hand, that lies WINDOW or
more beyond the first unfinished one, so everything that far below the last is finished, and in between the outcomes
tell. What retention has deleted of them cannot be told: then too much is done again, never too little, as nothing is
taken for finished without its outcome but what lies below one.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from schemas.envelope import from_record
from schemas.letter import DeadLetter, Place
from schemas.payload import BadRecord
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from schemas.settled import QuerySettled
from schemas.topics import SETTLED_QUERIES, Topic
from workers.id_set import KnownIds
from workers.stage import StageSpec
from workers.stream.connection.clients import Clients
from workers.stream.offsets import WINDOW, Completion
from workers.stream.reader import Wanted, stored


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
    """What a stage has published. Memory holds 24 to 48 bytes for each output, and the place of each dead letter."""

    _events: KnownIds = field(default_factory=KnownIds)  # what outputs follow from: with the query, or by digest
    _refused: set[tuple[Place, str]] = field(default_factory=set)  # with their stamps: a topic may have begun anew
    _set_aside: set[tuple[Place, str]] = field(default_factory=set)  # by hand

    def add(self, record: Record) -> None:
        """Take in an output."""
        said = {name: value.decode(errors="replace") for name, value in record.headers if value}
        letter = DeadLetter(record)
        if source := letter.source:
            by_hand = letter.reason == DeadLetterReason.SET_ASIDE.name
            (self._set_aside if by_hand else self._refused).add((source, letter.timestamp))
        elif "ce_causationid" in said:
            self._events.add(_named(said["ce_causationid"], said.get("ce_correlationid", "")))
        elif record.topic == SETTLED_QUERIES.name:  # written back without headers: infra/partitions.md
            self._events.add(QuerySettled.decode(record.value).scored_sha256 or "")

    def has(self, record: Record, topic: Topic) -> bool:
        """Whether an outcome of this input record is there."""
        if _place(record) in self._refused or _place(record) in self._set_aside:
            return True
        try:
            event = from_record(record, topic)
        except BadRecord:
            return False
        return _named(event.id, event.correlation_id) in self._events or event.digest in self._events

    def was_set_aside(self, record: Record) -> bool:
        """Whether its outcome is the work of an operator, and not of the stage."""
        return _place(record) in self._set_aside and _place(record) not in self._refused


@dataclass
class Reached:
    """How far a stage had come in one partition, whose records are given in order. Memory: 3 times WINDOW offsets."""

    begin: int
    in_order: bool
    _last: int = -1  # with an outcome
    _finished: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _open: deque[int] = field(default_factory=deque)  # below the last, and less than WINDOW from it
    _waiting: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW))  # beyond it

    def add(self, offset: int, *, finished: bool, by_hand: bool = False) -> None:
        """The next record, whether its outcome is there, and whether that was an operator's work."""
        if not finished:
            self._waiting.append(offset)
            return
        self._finished.append(offset)
        self._last = offset
        self._open.extend(self._waiting)
        self._waiting.clear()
        while self._open and (self._open[0] <= offset - WINDOW or (self.in_order and not by_hand)):
            self._open.popleft()

    @property
    def completion(self) -> Completion:
        """Where to go on; at the begin if nothing is finished."""
        behind = self.begin if self._last < 0 else self._last + 1
        base = self._open[0] if self._open else behind
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
            finished, by_hand = outcomes.has(record, spec.consumes), outcomes.was_set_aside(record)
            found[record.partition].add(record.offset, finished=finished, by_hand=by_hand)
    return {number: one.completion for number, one in found.items()}


def _among(numbers: Iterable[int]) -> Wanted:
    wanted = frozenset(numbers)
    return lambda at, count: at.partition in wanted


def _place(record: Record) -> tuple[Place, str]:
    return Place(record.topic, record.partition, record.offset), str(record.timestamp_ms)


def _named(causation_id: str, query_id: str) -> str:
    """Strangers may give two queries one event id."""
    return f"{causation_id} {query_id}"
