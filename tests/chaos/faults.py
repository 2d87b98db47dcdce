"""What breaks, and proof that it broke: every fault is counted when it has really happened."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.chaos import failpoints
from tests.chaos.fleet import Fleet, Replica
from tests.chaos.notes import Holders
from tests.chaos.proxied_broker import ProxiedBroker
from tests.chaos.proxy import Proxy
from tests.chaos.weather import HeldAnswer

EXTRA = "extra"
EXTRA_MEMBER_S = 20.0  # as long as it may take until it gets partitions
LATER_S = 0.5
LATENCY_S, LATENCY_FOR_S = (0.005, 0.05), (1.0, 2.5)
HOLE_S = (0.5, 3.0)
END_TXN_DELAY_S = (0.05, 1.5)
LONG_DELAY_S, LONG_SHARE = 9.0, 0.05  # longer than a request's own limit of 8 s
BROKER_DOWN_S = (0.0, 1.0)


@dataclass(frozen=True)
class Trouble:
    """A stretch of time in which more than one worker was in trouble; of time.monotonic()."""

    fault: str
    from_s: float
    until_s: float


class Faults:
    """Does what the schedule says. `happened` counts; `troubles` are for the measurements."""

    def __init__(self, broker: ProxiedBroker, proxy: Proxy, fleet: Fleet, holders: Holders, seed: int) -> None:
        self.troubles: list[Trouble] = []
        self.counted: Counter[str] = Counter()
        self._broker, self._proxy, self._fleet, self._holders = broker, proxy, fleet, holders
        self._random = random.Random(seed)
        self._points = _dealt(failpoints.POINTS, self._random)
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._bouncing: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._actions: dict[str, Callable[[], bool]] = {
            "worker_kill": self._kill_worker,
            "worker_kill_in_transaction": lambda: self._arm(failpoints.KILL, next(self._points)),
            "zombie": self._freeze_worker,
            "zombie_before_commit": lambda: self._arm(failpoints.STOP, failpoints.OFFSETS),
            "broker_kill": lambda: self._bounce("broker_kill", self._broker.kill),
            "broker_restart": lambda: self._bounce("broker_restart", self._broker.stop),
            "rebalance": self._rebalance,
            "latency": self._latency,
            "black_hole": self._black_hole,
            "reset": self._reset,
            "end_txn_delayed": self._delay_end_txn,
            "end_txn_dropped": lambda: self._hold(HeldAnswer(dropped=True)),
            "abort": self._abort,
        }

    def do(self, fault: str) -> bool:
        """Start it; False when it cannot happen now and has to be tried again."""
        if self.is_broker_down and fault != "worker_kill":
            return False  # it would prove nothing
        return self._actions[fault]()

    @property
    def is_broker_down(self) -> bool:
        return self._bouncing is not None and self._bouncing.is_alive()

    def tend(self) -> None:
        """What is due by now; whatever was frozen, killed or armed and has to go on."""
        if self._failure is not None:
            raise self._failure
        now = time.monotonic()
        due = [action for at, action in self._later if at <= now]
        self._later = [(at, action) for at, action in self._later if at > now]
        for action in due:
            action()
        for thaw in self._fleet.tend():
            self.troubles.append(Trouble("zombie", thaw.stopped_s, thaw.thawed_s))

    def heal(self) -> None:
        """No fault from now on: what is armed is disarmed, what is under way is ended."""
        self._proxy.heal()
        for replica in self._fleet:
            replica.armoury.disarm()
        while self._later or self.is_broker_down or any(replica.notices_freezing() for replica in self._fleet):
            self.tend()
            time.sleep(0.05)

    def happened(self) -> dict[str, int]:
        """The counts by now: our own, the proxy's, and those that the workers' notes tell."""
        proxied = self._proxy.happened
        mine = {name: self.counted[name] for name in self._actions}
        mine |= {name: proxied[name] for name in ("end_txn_delayed", "end_txn_dropped")}
        return mine | self._holders.fired()

    def _kill_worker(self) -> bool:
        replica = self._victim()
        if replica is None:
            return False
        self._holders.killed(replica.process.pid)
        replica.kill()
        self.counted["worker_kill"] += 1
        return True

    def _freeze_worker(self) -> bool:
        replica = self._victim()
        if replica is not None:
            replica.freeze()
        return replica is not None

    def _arm(self, action: str, point: str) -> bool:
        replica = self._victim()
        if replica is not None:
            replica.armoury.arm(action, point)
        return replica is not None

    def _abort(self) -> bool:
        if self._random.random() < 0.5:
            return self._arm(
                failpoints.ABORT, self._random.choice((failpoints.BEGIN, failpoints.SENDS, failpoints.OFFSETS))
            )
        return self._arm(failpoints.RAISE, self._random.choice(failpoints.POINTS))

    def _victim(self) -> Replica | None:
        """One that runs, holds partitions and has no fault in store; not a member that will leave soon."""
        able = [one for one in self._fleet.running() if not one.armoury.is_armed and EXTRA not in one.name]
        able = [one for one in able if self._holders.held_by(one.process.pid)]
        return self._random.choice(able) if able else None

    def _bounce(self, fault: str, end: Callable[[], None]) -> bool:
        if any(replica.stopped_s is not None for replica in self._fleet):
            return False  # a zombie proves something only if others go on meanwhile
        down_s = self._random.uniform(*BROKER_DOWN_S)

        def bounce() -> None:
            began = time.monotonic()
            try:
                end()
                time.sleep(down_s)
                self._broker.start()
            except BaseException as error:  # noqa: BLE001 - the driver's thread raises it
                self._failure = error
                return
            self.counted[fault] += 1
            self.troubles.append(Trouble(fault, began, time.monotonic()))

        self._bouncing = threading.Thread(target=bounce, name=fault, daemon=True)
        self._bouncing.start()
        return True

    def _rebalance(self) -> bool:
        """A member without a name comes, gets partitions and leaves in order: two rebalances."""
        stage = self._random.choice(sorted({replica.stage for replica in self._fleet}))
        began = time.monotonic()
        extra = self._fleet.add(stage, f"{stage}-{EXTRA}-{began:.0f}")

        def leave() -> None:
            now, took = time.monotonic(), self._holders.ever_held(extra.process.pid)
            if not took and now < began + EXTRA_MEMBER_S:
                return self._later.append((now + LATER_S, leave))
            self._later.append((now + LATER_S, lambda: self._end(extra, took, began)))

        self._later.append((began + LATER_S, leave))
        return True

    def _end(self, extra: Replica, took: bool, began_s: float) -> None:
        self._fleet.remove(extra)
        self.counted["rebalance"] += took
        self.troubles.append(Trouble("rebalance", began_s, time.monotonic()))

    def _latency(self) -> bool:
        for_s = self._random.uniform(*LATENCY_FOR_S)
        self._proxy.slow_down(self._random.uniform(*LATENCY_S), for_s)
        return self._watch("latency", for_s, "frames_late")

    def _black_hole(self) -> bool:
        for_s = self._random.uniform(*HOLE_S)
        self._proxy.swallow(for_s)
        return self._watch("black_hole", for_s, "frames_swallowed")

    def _reset(self) -> bool:
        before = self._proxy.happened["connections_reset"]
        self._proxy.reset()
        return self._watch("reset", 0.2, "connections_reset", before)

    def _watch(self, fault: str, for_s: float, evidence: str, before: int | None = None) -> bool:
        """Count the fault when it is over, if the proxy has seen it happen."""
        began, before = time.monotonic(), self._proxy.happened[evidence] if before is None else before

        def count() -> None:
            self.counted[fault] += self._proxy.happened[evidence] > before
            self.troubles.append(Trouble(fault, began, time.monotonic()))

        self._later.append((began + for_s, count))
        return True

    def _delay_end_txn(self) -> bool:
        is_long = self._random.random() < LONG_SHARE
        return self._hold(HeldAnswer(LONG_DELAY_S if is_long else self._random.uniform(*END_TXN_DELAY_S)))

    def _hold(self, answer: HeldAnswer) -> bool:
        self._proxy.hold_end_txn(answer)
        return True


def _dealt(points: Sequence[str], drawn: random.Random) -> Iterator[str]:
    """Each of them once, in a drawn order, and again: a few kills meet every point of a transaction."""
    while True:
        yield from drawn.sample(points, len(points))
