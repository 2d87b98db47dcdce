"""What a bus is: it carries records between topics and runs stages on them. Two of them: `memory.py` and `kafka.py`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

from schemas.envelope import Event
from schemas.payload import Payload
from schemas.reasons import DeadLetterReason, RepeatReason
from schemas.record import Outgoing, Record
from workers.stage import Stage

#: Offsets by topic and partition.
Offsets: TypeAlias = Mapping[tuple[str, int], int]


class Observer(Protocol):
    """Who is told what happened. What was published is reported after its transaction is committed, once.

    `repeated`: an auction came again whose outcome stands; also where that became a dead letter, so that no query is
    taken to have two ends.
    """

    def committed(self, events: Iterable[Event[Payload]]) -> None:
        """These events were published, and their transaction is committed: once for each event."""

    def refused(self, stage: str, reason: DeadLetterReason) -> None:
        """A record of the stage's input became a dead letter, and that is committed: so its query ended."""

    def repeated(self, stage: str, reason: RepeatReason) -> None:
        """A record brought an auction again whose outcome stands, and that is committed: no query ended by it."""

    def handled(self, stage: str, duration_s: float) -> None:
        """The stage's worker returned or raised; `duration_s`: seconds since it was given the record."""

    def transaction(self, stage: str, result: str, duration_s: float, auctions: int) -> None:
        """A transaction over the results of `auctions` input records ended after `duration_s` seconds.

        `result`: committed or aborted.
        """

    def in_flight(self, stage: str, count: int) -> None:
        """`count` input records of the stage, over all its partitions here, were read and are not yet committed."""

    def lag(self, stage: str, records: int, age_s: float) -> None:
        """In this process `records` of the stage's input are stored and not committed, the oldest for `age_s` s."""

    def rebalanced(self, stage: str) -> None:
        """The stage's group handed out its partitions anew."""

    def producer_reopened(self, stage: str) -> None:
        """A transactional producer was fenced or lost an answer: it is discarded, and another opened."""

    def stale_position(self, stage: str) -> None:
        """Kafka answered with an older position than is known to be committed; it was not used."""

    def assigned(self, stage: str, ready: bool) -> None:
        """`ready`: whether the stage has partitions here and each of them is open. Told at every poll."""

    def engine_down(self, stage: str, is_down: bool) -> None:
        """The stage's engine does not answer, so that its records wait; or (`is_down` is false) it is back."""

    def kafka_down(self, stage: str, is_down: bool) -> None:
        """Kafka does not answer the stage's group; or (`is_down` is false) it does again."""


class Reader(Protocol):
    """Committed records of some topics, each once, in order per partition."""

    def __aiter__(self) -> AsyncIterator[Record]: ...


class Bus(Protocol):
    """Promises, each checked by tests/contracts/test_bus.py:

    * `run` gives every record of a stage's input topic to its worker and publishes what the worker returns. Each input
      record has exactly one result: its events, or one dead letter. Results of a stage that is `in_order` come in the
      order of the input per partition.
    * Workers run outside any transaction, at most `stage.in_flight` at once per partition.
    * While an engine is down (EngineUnavailable) its records wait, for as long as it takes; none is refused for it.
    * Any other error ends `run` with that error, and nothing of that record is published.
    * Of a stage that remembers, one record for each id is worked on: the first in the order of the input that is not
      refused. The same record once more leads to nothing, in a later run too; any other record with that id is a dead
      letter, DUPLICATE_QUERY, of another auction or of the same one.
    * `run` ends without an error when `stop` is set.
    * `stored` gives what the topics hold when it is asked, committed records only, in order per partition, and ends.
    * `stored` since some offsets gives what lies there or behind, and `ends` the offsets behind all that is there.
    * A record says whether the broker stamped it (`stamped_by_broker`); topics that stages write are set to that.
    """

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Write the records, outside any transaction; all are stored when it returns, or else it raises."""

    def read(self, topics: Sequence[str]) -> AbstractAsyncContextManager[Reader]:
        """What is published from now on; the moment is when the context is entered."""

    def stored(
        self, topics: Sequence[str], key: bytes | None = None, since: Offsets | None = None
    ) -> AsyncGenerator[Record, None]:
        """From the first record to the last, older timestamps first; with a key only the partitions it belongs to.

        `since`: from these offsets on, by topic and partition; those that it does not name are read from the first.
        """

    async def ends(self, topics: Sequence[str]) -> Offsets:
        """The offset behind the last record of each partition, by topic and partition; markers have offsets, too."""

    async def run(self, stages: Sequence[Stage], stop: asyncio.Event) -> None:
        """Run the stages side by side until `stop` is set; the first error of one ends all and is raised."""
