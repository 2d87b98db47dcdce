"""What breaks, and proof that it broke: every fault is counted when it has really happened."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from tests.chaos import failpoints
from tests.chaos.deaths import FROZEN_S
from tests.chaos.fleet import Fleet, Replica
from tests.chaos.notes import Holders
from tests.chaos.proxy import Proxy
from tests.chaos.restarts import Restarts, Trouble
from tests.chaos.weather import HeldAnswer

EXTRA = "extra"
EXTRA_MEMBER_S = 20.0  # as long as it may take until it gets partitions
LATER_S = 0.5
LATENCY_S, LATENCY_FOR_S = (0.005, 0.05), (1.0, 2.5)
HOLE_S = (0.5, 3.0)
END_TXN_DELAY_S = (0.05, 1.5)
LONG_DELAY_S, LONG_SHARE = 9.0, 0.05  # longer than a request's own limit of 8 s
CUT_EVERY_S, CUT_AFTER_S = 0.3, 3.0  # connections to a broker that dies: also after it can be used again
STORM_FREEZES_S, STORM_KILLS_S = FROZEN_S[1] - 1.0, FROZEN_S[1]  # workers, around the broker's thaw


class Faults:
    """Does what the schedule says. `happened` counts; `troubles` are for the measurements."""

    def __init__(self, restarts: Restarts, proxy: Proxy, fleet: Fleet, holders: Holders, seed: int) -> None:
        self.counted: Counter[str] = Counter()
        self._troubles: list[Trouble] = []
        self._proxy, self._fleet, self._holders = proxy, fleet, holders
        self._restarts = restarts
        self._random = random.Random(seed)
        self._points = _dealt(failpoints.POINTS, self._random)
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._actions: dict[str, Callable[[], bool]] = {
            "worker_kill": self._kill_worker,
            "worker_kill_in_transaction": lambda: self._arm(failpoints.KILL, next(self._points)),
            "zombie": self._freeze_worker,
            "zombie_before_commit": lambda: self._arm(failpoints.STOP, failpoints.OFFSETS),
            "rebalance": self._rebalance,
            "latency": self._latency,
            "black_hole": self._black_hole,
            "reset": self._reset,
            "end_txn_delayed": self._delay_end_txn,
            "end_txn_dropped": lambda: self._hold(HeldAnswer(dropped=True)),
            "abort": self._abort,
        }
        self._actions |= {fault: partial(self._restart, fault) for fault in self._restarts.ways}
        self._actions |= {"broker_cut_off": self._cut_off, "broker_storm": self._storm}

    def do(self, fault: str) -> bool:
        """Start it; False when it cannot happen now and has to be tried again."""
        if self._restarts.is_down and fault != "worker_kill":
            return False  # it would prove nothing
        return self._actions[fault]()

    @property
    def troubles(self) -> list[Trouble]:
        """All by now."""
        return self._troubles + self._restarts.troubles

    def tend(self) -> None:
        """What is due by now; whatever was frozen, killed or armed and has to go on."""
        self._restarts.check()
        now = time.monotonic()
        due = [action for at, action in self._later if at <= now]
        self._later = [(at, action) for at, action in self._later if at > now]
        for action in due:
            action()
        for thaw in self._fleet.tend():
            self._troubles.append(Trouble("zombie", thaw.stopped_s, thaw.thawed_s))

    @property
    def are_pending(self) -> bool:
        """Whether something that was started may still happen."""
        waits = any(replica.armoury.is_armed or replica.notices_freezing() for replica in self._fleet)
        return waits or bool(self._later) or self._restarts.is_down

    def heal(self) -> None:
        """No fault from now on: what is armed is disarmed, what is under way is ended."""
        self._proxy.heal()
        for replica in self._fleet:
            replica.armoury.disarm()
        while self._later or self._restarts.is_down or any(replica.notices_freezing() for replica in self._fleet):
            self.tend()
            time.sleep(0.05)

    def happened(self) -> dict[str, int]:
        """The counts by now: our own, the proxy's, and those that the workers' notes tell."""
        proxied = self._proxy.happened
        mine = {name: self.counted[name] + self._restarts.counted[name] for name in self._actions}
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

    def _restart(self, fault: str) -> bool:
        if any(replica.stopped_s is not None for replica in self._fleet):
            return False  # a zombie proves something only if others go on meanwhile
        self._restarts.begin(fault)
        return True

    def _cut_off(self) -> bool:
        """The broker is killed, and connections break again and again until it has read what it knew."""
        if not self._restart("broker_cut_off"):
            return False
        until = time.monotonic() + CUT_AFTER_S

        def cut() -> None:
            nonlocal until
            now = time.monotonic()
            until = max(until, now + CUT_AFTER_S) if self._restarts.is_down else until
            self._proxy.reset()
            if now < until:
                self._later.append((now + CUT_EVERY_S, cut))

        cut()
        return True

    def _storm(self) -> bool:
        """The broker is frozen, thawed and killed; one worker freezes as it thaws and one dies as it dies."""
        if not self._restart("broker_storm"):
            return False
        began = time.monotonic()
        self._later.append((began + STORM_FREEZES_S, lambda: self._freeze_worker() and None))
        self._later.append((began + STORM_KILLS_S, lambda: self._kill_worker() and None))
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
        self._troubles.append(Trouble("rebalance", began_s, time.monotonic()))

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
            self._troubles.append(Trouble(fault, began, time.monotonic()))

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
