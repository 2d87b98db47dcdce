"""Kills a broker and starts it again, in a thread of its own: workers and network go on to break meanwhile."""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass

from tests.chaos import deaths
from tests.chaos.deaths import Checkpoints, Death
from tests.chaos.proxied_broker import Brokers

DOWN_S = (0.0, 1.0)


@dataclass(frozen=True)
class Trouble:
    """A stretch of time in which more than one worker was in trouble; of time.monotonic()."""

    fault: str
    from_s: float
    until_s: float


class Restarts:
    """One broker at a time, drawn from all. `counted` are the deaths that were what they were meant to be."""

    def __init__(self, brokers: Brokers, seed: int) -> None:
        self.counted: Counter[str] = Counter()
        self.troubles: list[Trouble] = []
        self._brokers, self._random = brokers, random.Random(seed)
        self._checkpoints = Checkpoints(brokers.nodes)
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
        }

    @property
    def is_down(self) -> bool:
        """Whether one is down at this moment, or on its way there or back."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, fault: str) -> None:
        """Let one die in this way and start it again; `is_down` until it can be used."""
        self._thread = threading.Thread(target=self._run, args=(fault,), name=fault, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what has gone wrong in the thread."""
        if self._failure is not None:
            raise self._failure

    def _run(self, fault: str) -> None:
        began = time.monotonic()
        try:
            self.counted[fault] += self._restart(self.ways[fault])
        except BaseException as error:  # noqa: BLE001 - the driver's thread raises it
            self._failure = error
        self.troubles.append(Trouble(fault, began, time.monotonic()))

    def _restart(self, death: Death) -> bool:
        number, node = self._random.choice(sorted(self._brokers.nodes.items()))
        has_happened = death(node, self._random)
        time.sleep(self._random.uniform(*DOWN_S))
        self._brokers.start_node(number)
        self._checkpoints.keep(node)
        return has_happened
