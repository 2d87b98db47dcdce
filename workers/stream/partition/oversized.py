"""Which records lead to more than a topic takes: learnt from Kafka's answer, and refused when they come again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from schemas.reasons import DeadLetterReason
from schemas.record import Record
from workers.stage import Stage
from workers.stream.partition.in_flight import Backlog
from workers.stream.partition.producer import Oversized
from workers.stream.processing import Result, refuse

SMALL_LETTER_BYTES = 512 * 1024  # less than Kafka's own limit for a topic that has none set
OVERSIZED = (
    "what this record leads to is larger than its topic takes (max.message.bytes); `tessera doctor` compares the limits"
)


class OversizedRecords:
    """Offsets of one input partition, for the life of its actor."""

    def __init__(self) -> None:
        self._offsets: set[int] = set()
        self._is_news = False

    def __contains__(self, offset: int) -> bool:
        return offset in self._offsets

    @contextmanager
    def blaming(self, results: Sequence[Result], backlog: Backlog) -> Iterator[None]:
        """Note whose results are too large, should the write of all these say so, and let them be delivered again."""
        try:
            yield
        except Oversized as error:
            owners = [result.offset for result in results for _ in range(result.count)]
            found = {owners[number] for number in error.numbers}
            self._is_news = self._is_news or not found <= self._offsets
            self._offsets |= found
            for offset in found:
                backlog.forget(offset)
            raise

    def learnt(self) -> bool:
        """Whether there is a new one since this was asked last: then trying again is no repetition."""
        is_news, self._is_news = self._is_news, False
        return is_news


async def refuse_oversized(stage: Stage, record: Record) -> Result:
    """The result of a record whose results a topic did not take for their size: a letter that any topic takes."""
    return refuse(stage, record, DeadLetterReason.TOO_LARGE, OVERSIZED, SMALL_LETTER_BYTES)
