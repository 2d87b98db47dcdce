"""Watches the ends of queries as they are committed: progress, stalls, and how long each took."""

import json
import time
from array import array
from collections.abc import Sequence
from datetime import datetime
from typing import Self

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from schemas.topics import DEAD_LETTERS, SETTLED

WAIT_S = 60.0
AT_ONCE = 500
MILLISECONDS = 1_000
_LOST_FOR_NOW = ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_RESOLVE", "_TIMED_OUT")


class Watch:
    """A reader of settled replies and dead letters, around the proxy; `ended` counts them."""

    def __init__(self, servers: str) -> None:
        self.settled = self.refused = 0
        self.latencies_ms = array("d")
        self.longest_stall_s, self._moved_s = 0.0, time.monotonic()
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": "chaos.watch",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        known = self._consumer.list_topics(timeout=WAIT_S).topics
        topics = (SETTLED.name, *DEAD_LETTERS)
        self._consumer.assign([TopicPartition(name, place, 0) for name in topics for place in known[name].partitions])

    @property
    def ended(self) -> int:
        return self.settled + self.refused

    def look(self, within_s: float, is_waiting: bool) -> None:
        """What has ended by now. `is_waiting`: something is there to be worked on, so that silence is a stall."""
        messages = [message for message in self._consumer.consume(AT_ONCE, within_s) if _is_record(message)]
        now = time.monotonic()
        if not messages and is_waiting:
            self.longest_stall_s = max(self.longest_stall_s, now - self._moved_s)
        else:
            self._moved_s = now
        for message in messages:
            self._count(message)

    def _count(self, message: Message) -> None:
        if message.topic() != SETTLED.name:
            self.refused += 1
            return
        self.settled += 1
        asked = datetime.fromisoformat(json.loads(message.value())["submitted_at"])
        self.latencies_ms.append(message.timestamp()[1] - asked.timestamp() * MILLISECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._consumer.close()


def _is_record(message: Message) -> bool:
    error = message.error()
    if error is None:
        return True
    if error.name() not in _LOST_FOR_NOW and not error.retriable():
        raise KafkaException(error)
    return False


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which `share` of them lie; None of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
