"""What is fetched of one input partition: from where, whether at all for now, and how far there is something."""

import asyncio
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

UNKNOWN = -1
MOST_LARGE_BYTES = 64 * 1024 * 1024  # of one partition, read and not yet committed


class Fetching:
    """The consumer's fetcher as one partition sees it; it shares its methods' errors where nothing else is said."""

    def __init__(self, consumer: Any, partition: TopicPartition) -> None:
        self._consumer, self._partition, self._is_paused = consumer, partition, False

    def pause(self) -> None:
        self._consumer.pause(self._partition)
        self._is_paused = True

    def resume_at(self, offset: int) -> None:
        """Fetch from there on."""
        self.seek(offset)
        self._resume()

    def seek(self, offset: int) -> None:
        self._consumer.seek(self._partition, offset)

    def hold_back(self, waiting: int, most: int, large_bytes: int) -> None:
        """Rest while more records wait than `most`, until none waits, or while large ones fill MOST_LARGE_BYTES."""
        is_full = large_bytes > MOST_LARGE_BYTES
        if self._is_paused and not waiting and not is_full:
            self._resume()
        elif not self._is_paused and (waiting > most or is_full):
            self.pause()

    async def position(self, within_s: float) -> int:
        """The next offset to be fetched, markers of transactions passed over; UNKNOWN: not told in time."""
        try:
            return int(await asyncio.wait_for(self._consumer.position(self._partition), within_s))
        except (KafkaError, TimeoutError):
            return UNKNOWN

    def stable_end(self) -> int:
        """Where the partition ended when it was last fetched from; UNKNOWN: it never was."""
        try:
            end = self._consumer.last_stable_offset(self._partition)
        except (IllegalStateError, AssertionError):  # no longer assigned; aiokafka asserts it
            return UNKNOWN
        return UNKNOWN if end is None else int(end)

    def _resume(self) -> None:
        self._consumer.resume(self._partition)
        self._is_paused = False
