"""Kills a broker and starts it again, in a thread of its own: workers and network go on to break meanwhile."""

import asyncio
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from tests.chaos import deaths
from tests.chaos.deaths import Checkpoints, Death
from tests.chaos.filler import fill
from tests.chaos.proxied_broker import Brokers
from workers.devkafka.ready import is_ready
from workers.errors import BrokerError
from workers.pipeline import GROUPS

DOWN_S = (0.0, 1.0)
READY_WITHIN_S, LOOK_EVERY_S = 45.0, 2.0
STUCK = "broker_stuck"  # not planned: the way out of what Kafka itself does not come out of
#: What a broker logs whose group coordinator may have given up, on one node for ever (decision 0011).
GAVE_UP = "CoordinatorRuntime - [GroupCoordinator"
STARTS = 5


@dataclass(frozen=True)
class Trouble:
    """A stretch of time in which more than one worker was in trouble; of time.monotonic()."""

    fault: str
    from_s: float
    until_s: float


class Restarts:
    """One broker at a time, drawn from all. `counted` are the deaths that were what they were meant to be.

    `fills`: with a longer log of committed offsets after each.
    """

    def __init__(self, brokers: Brokers, seed: int, *, fills: bool = False) -> None:
        self.counted: Counter[str] = Counter()
        self.troubles: list[Trouble] = []
        self._brokers, self._random = brokers, random.Random(seed)
        self._checkpoints, self._fills = Checkpoints(brokers.nodes), fills
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self.ways: dict[str, Death] = {
            "broker_kill": deaths.killed,
            "broker_restart": deaths.stopped,
            "broker_frozen": deaths.frozen_and_killed,
            "broker_disk_full": deaths.disk_full,
            "broker_checkpoint": self._checkpoints.killed_and_outdated,
            "broker_cut_off": deaths.killed,
            "broker_storm": deaths.frozen_thawed_and_killed,
            STUCK: deaths.killed,
        }
        self._looked_s = time.monotonic()

    @property
    def is_down(self) -> bool:
        """Whether one is down at this moment, or on its way there or back."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, fault: str, number: int | None = None) -> None:
        """Let one die in this way, the one of this number or any, and start it again; `is_down` until it is ready."""
        number = self._random.choice(sorted(self._brokers.nodes)) if number is None else number
        self._thread = threading.Thread(target=self._run, args=(fault, number), name=fault, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what has gone wrong in the thread; start a broker again that would never serve its groups."""
        if self._failure is not None:
            raise self._failure
        if self.is_down or time.monotonic() - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = time.monotonic()
        suspects = self._suspects()
        if suspects and not is_ready({"bootstrap_servers": self._brokers.bootstrap_servers}, len(self._brokers.nodes)):
            self.begin(STUCK, suspects[0])

    def _suspects(self) -> list[int]:
        return [number for number, node in self._brokers.nodes.items() if GAVE_UP in node.log_since_start()]

    def _run(self, fault: str, number: int) -> None:
        began = time.monotonic()
        try:
            self.counted[fault] += self._restart(self.ways[fault], number)
        except BaseException as error:  # noqa: BLE001 - the driver's thread raises it
            self._failure = error
        self.troubles.append(Trouble(fault, began, time.monotonic()))

    def _restart(self, death: Death, number: int) -> bool:
        node = self._brokers.nodes[number]
        has_happened = death(node, self._random)
        time.sleep(self._random.uniform(*DOWN_S))
        self._start(number)
        self._checkpoints.keep(node)
        if self._fills:
            self._fill()
        return has_happened

    def _start(self, number: int) -> None:
        any(self._is_ready(number, is_last=start == STARTS) for start in range(1, STARTS + 1))

    def _fill(self) -> None:
        """Make the logs of offsets long; a broker whose coordinator takes no commit for good is started once more."""
        try:
            asyncio.run(fill(self._brokers.bootstrap_servers, GROUPS))
        except KafkaError:
            suspects = self._suspects()
            if not suspects:
                raise
            self._brokers.nodes[suspects[0]].kill()
            self.counted[STUCK] += 1
            self._start(suspects[0])

    def _is_ready(self, number: int, is_last: bool) -> bool:
        """Start it; False where it was killed and has to be started once more. BrokerError: it does not start."""
        node = self._brokers.nodes[number]
        try:
            self._brokers.start_node(number, READY_WITHIN_S)
        except BrokerError:
            if is_last or GAVE_UP not in node.log_since_start():
                raise
            node.kill()
            self.counted[STUCK] += 1
            return False
        return True
