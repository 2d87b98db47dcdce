"""Whether Kafka answers a stage, which would notice by itself only when it has something to commit."""

import asyncio
import logging
from typing import Any

from workers.stream.bus import Observer
from workers.stream.operator_lines import KAFKA_BACK, KAFKA_DOWN

log = logging.getLogger(__name__)

#: Seconds. A coordinator that moves to another broker is unknown for one or two.
LONGEST_SILENCE_S = 5.0


class KafkaWatch:
    """Tells once that the coordinator of the stage's group does not answer, and once that it does again.

    It gets the stage's heartbeats, so an idle stage speaks with it as well.
    """

    def __init__(self, stage: str, consumer: Any, observer: Observer) -> None:
        self._stage, self._consumer, self._observer = stage, consumer, observer
        self._silent_since: float | None = None
        self._is_down = False

    def check(self) -> None:
        """Call it at every poll. aiokafka forgets a coordinator that leaves a request without an answer."""
        now = asyncio.get_running_loop().time()
        if self._consumer._coordinator.coordinator_id is not None:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = now
        is_down = self._silent_since is not None and now - self._silent_since >= LONGEST_SILENCE_S
        if is_down != self._is_down:
            self._tell(is_down)

    def _tell(self, is_down: bool) -> None:
        self._is_down = is_down
        if is_down:
            KAFKA_DOWN.tell(log, stage=self._stage, seconds=f"{LONGEST_SILENCE_S:g}")
        else:
            KAFKA_BACK.tell(log, stage=self._stage)
        self._observer.kafka_down(self._stage, is_down)
