"""What is fetched of one input partition: from where, whether at all for now, and how far there is something."""

import asyncio
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from workers.stream.partition.state import PartitionState

UNKNOWN = -1


class Fetching:
    """The consumer's fetcher as one partition sees it; it shares its methods' errors where nothing else is said."""

    def __init__(self, consumer: Any, partition: TopicPartition, state: PartitionState) -> None:
        self._consumer, self._partition, self._state = consumer, partition, state

    def pause(self) -> None:
        """Fetch nothing until `resume`; what was fetched and not polled is kept by the consumer."""
        self._consumer.pause(self._partition)
        self._state.is_paused = True

    def resume(self) -> None:
        """Fetch again, from where it was or was sought to."""
        self._consumer.resume(self._partition)
        self._state.is_paused = False

    def seek(self) -> None:
        """Fetch from the first record that was not delivered yet."""
        self._consumer.seek(self._partition, self._state.next_offset)

    def apply_backpressure(self) -> None:
        """Pause while too much waits, resume when it does not."""
        must_pause = self._state.must_pause
        if must_pause and not self._state.is_paused:
            self.pause()
        elif self._state.is_paused and not must_pause:
            self.resume()

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
