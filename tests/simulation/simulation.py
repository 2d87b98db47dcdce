"""One run of a seed: from the first record until all input is consumed, the faults healed, the workers stopped."""

import asyncio
import contextlib
import random
from typing import Any

from schemas.record import Record
from tests.simulation import scenario as scenarios
from tests.simulation.broker import Broker
from tests.simulation.clients import SimulatedClients
from tests.simulation.clock import NOBODY, Process, Stuck, VirtualLoop
from tests.simulation.faults import Faults
from tests.simulation.groups import Group
from tests.simulation.lives import Journal, Life, Outcome, actor_of, is_harmless, virtual_clock
from tests.simulation.log import Fate, Piece, Stored
from tests.simulation.network import Network
from tests.simulation.scenario import (
    ANSWERED,
    ASKED,
    BUSY_S,
    IN_FLIGHT,
    OUTPUTS,
    PARTITIONS,
    USED,
    Answerer,
    Scenario,
)
from workers.errors import BrokerError
from workers.pipeline import Stage, StageSpec
from workers.stream.kafka import KafkaBus

MOST_STEPS = 120_000
HEALING_S = 90.0
STOPPING_S = 30.0
LOOK_S = 0.25
BURIAL_STEPS, BURIALS = 20_000, 5


class Simulation:
    """Builds the world of one seed and runs it."""

    def __init__(self, scenario: Scenario, *, traced: bool = False, bus: type[KafkaBus] = KafkaBus) -> None:
        self.scenario, self._bus = scenario, bus
        self.loop = VirtualLoop(MOST_STEPS)
        self.loop.grid_s = scenario.grid_s
        self.rng = random.Random(f"run {scenario.seed}")
        self.faults = Faults(self.rng, scenario.budget, scenario.intensity)
        topics = {name: PARTITIONS for name in (ASKED.name, ANSWERED.name, USED.name, ASKED.dead_letters)}
        self.broker = Broker(self.loop, self.rng, topics, self.faults.note)
        self.broker.slow_markers = scenario.slow_markers
        if scenario.budget:
            self.broker.refuses_batch = self.faults.refuses_batch
        self.spec = scenarios.spec(scenario)
        self.group = self._new_group(self.spec)
        self.outputs = OUTPUTS
        self.network = Network(self.loop, self.rng, self.broker, self.faults)
        self.network.crash, self.network.freeze = self.crash, self.freeze
        self.lives: list[Life] = []
        self.current: dict[int, Life] = {}
        self.clients: list[SimulatedClients] = []
        self.inputs: dict[tuple[int, int], int] = {}
        self.begun: list[tuple[int, Life]] = []
        self.read_live: list[Record] = []
        self.findings: list[str] = []
        self.trace: list[str] = []
        self._healed = self._stopping = False
        self._steps = list(scenario.steps)
        self._mortal_steps = 0
        if traced:
            self.network.trace = self.trace.append
        if self._steps:
            self.loop.before_step = self._count

    def run(self) -> Outcome:
        random.seed(self.scenario.seed)
        with virtual_clock(self.loop):
            try:
                self.loop.run_until_complete(self.loop.create_task(self._main(), context=NOBODY.copy()))
            except Stuck as stuck:
                self.findings.append(f"stuck at {self.loop.now_s:.1f} virtual s: {stuck}")
            self.findings += [str(error) for error in self.loop.errors if not is_harmless(error)]
            outcome = Outcome(
                self.scenario,
                self.broker,
                self.group,
                self.faults,
                self.lives,
                self.begun,
                self.inputs,
                self.read_live,
                self.findings,
                self.loop.steps,
                self.loop.now_s,
                self.trace,
            )
            self._bury()
        return outcome

    def _new_group(self, spec: StageSpec) -> Group:
        places = [(spec.consumes.name, number) for number in range(PARTITIONS)]
        later, clock = self.broker.later, self.loop.time
        group = Group(spec.group, places, self.rng, later, clock, self.faults.note)
        group.committed = dict.fromkeys(places, (0, ""))
        self.broker.groups[group.name] = group
        return group

    # The course of a run

    async def _main(self) -> None:
        self._plan_input()
        reader = self._start_reader()
        await asyncio.sleep(0.05)
        for slot in range(self.scenario.workers):
            self._start(slot)
        for at_s, what in self.scenario.events:
            self.loop.call_at(at_s, getattr(self, f"_event_{what}"), context=NOBODY)
        await asyncio.sleep(BUSY_S)
        self._heal()
        if await self._until(self._is_done, HEALING_S):
            await asyncio.sleep(0.5)
        else:
            self.findings.append(self._what_is_missing())
        await self._stop_all()
        await self._until(lambda: not self._live_is_behind(), 5.0)
        self.network.over = True
        reader.cancel()

    async def _until(self, condition: Any, within_s: float) -> bool:
        end_s = self.loop.time() + within_s
        while not condition():
            if self.loop.time() > end_s:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    def _is_done(self) -> bool:
        """All input consumed to its very end, nothing under way anywhere."""
        return self._is_quiet() and all(
            self.group.committed[ASKED.name, log.number][0] == log.end for log in self.broker.logs[ASKED.name]
        )

    def _is_quiet(self) -> bool:
        return not self.network.underway and not self.broker.transactions.busy

    def _what_is_missing(self) -> str:
        ends = [log.end for log in self.broker.logs[ASKED.name]]
        return (
            f"not done {HEALING_S:g} virtual s after healing: ends {ends}, committed {self.group.committed}, open "
            f"{self.broker.transactions.busy}, members {sorted(self.group.members)}"
        )

    def _live_is_behind(self) -> bool:
        return len(self.read_live) < sum(
            len(log.visible()) for topic in self.outputs for log in self.broker.logs[topic]
        )

    def _plan_input(self) -> None:
        for index, given in enumerate(self.scenario.given):
            self.loop.call_at(given.at_s, self._publish, index, context=NOBODY)

    def _publish(self, index: int) -> None:
        given = self.scenario.given[index]
        log = self.broker.logs[ASKED.name][given.partition]
        if given.value is None:
            log.append(Stored(ASKED.name, given.partition, 0, 0, b"x", b"x", piece=Piece(0, Fate.ABORTED)))
            log.append(Stored(ASKED.name, given.partition, 0, 0, marker=True))
            self.broker.wake((ASKED.name, given.partition))
        else:
            offset = self.broker.append(ASKED.name, given.partition, given.query_id.encode(), given.value)
            self.inputs[given.partition, offset] = index

    # Processes

    def _start(self, slot: int) -> None:
        if self._stopping or slot in self.current:
            return
        life = Life(Process(f"worker-{slot}.{len(self.lives)}"), slot, asyncio.Event(), Journal())
        self.lives.append(life)
        self.current[slot] = life
        self._tell(f"start {life.process.name}")
        life.task = self.loop.create_task(self._work(life), context=life.process.context)
        life.task.add_done_callback(lambda _: self._ended(life), context=NOBODY)

    async def _work(self, life: Life) -> None:
        settings = self.scenario.settings
        if self.scenario.static:
            settings = settings.model_copy(update={"instance": str(life.slot)})
        clients = life.clients = SimulatedClients(self.network)
        self.clients.append(clients)
        bus = self._bus(settings, life.journal, clients)  # type: ignore[arg-type]
        try:
            await bus.run(self._stages(life), life.stop)
        except BrokerError as error:
            self._tell(f"{life.process.name} exits: {error}")
            self.faults.note("worker gave up")

    def _stages(self, life: Life) -> list[Stage]:
        def begun(number: int) -> None:
            self.begun.append((number, life))

        def crash() -> None:
            self.faults.note("crash by a record")
            self.crash(life.process, "by a record")

        return [Stage(self.spec, Answerer(self.scenario, self.rng, begun, crash), IN_FLIGHT)]

    def _ended(self, life: Life) -> None:
        """The process is at its end: what raises here is no crash of ours. Another takes its place."""
        assert life.task is not None
        if not self.network.over and not life.task.cancelled() and (error := life.task.exception()) is not None:
            self.findings.append(f"{life.process.name} ended with {error!r}")
        if life.process.dead or self.network.over:
            return
        self._tell(f"{life.process.name} ended")
        self.findings += [f"{life.process.name} leaves {name} running behind it" for name in self._left_behind(life)]
        life.process.dead = True
        self._replace(life)

    def _left_behind(self, life: Life) -> list[str]:
        """Names of the actors' tasks that still run."""
        coroutines = {task.get_name(): task.get_coro() for task in asyncio.all_tasks(self.loop)}
        actors = {name: actor_of(coroutine) for name, coroutine in coroutines.items()}
        return sorted(name for name, actor in actors.items() if actor and actor._tenure._clients is life.clients)

    def _replace(self, life: Life) -> None:
        if self.current.get(life.slot) is life:
            del self.current[life.slot]
            self.loop.call_later(self.rng.uniform(0.05, 1.0), self._start, life.slot, context=NOBODY)

    def crash(self, process: Process, why: str) -> None:
        life = self._life(process)
        if life is None or process.dead:
            return
        self.faults.note("crash")
        self._tell(f"crash {process.name} {why}")
        process.dead = life.suspect = True
        self._replace(life)

    def freeze(self, process: Process, why: str) -> None:
        if self._life(process) is None or process.dead or process.frozen:
            return
        duration_s = self.scenario.session_s * self.rng.uniform(0.3, 3.0)
        self.faults.note("zombie" if duration_s > self.scenario.session_s else "pause")
        self._tell(f"freeze {process.name} {why}, {duration_s:.2f} s")
        process.frozen = True
        self.loop.call_later(duration_s, self._thaw, process, context=NOBODY)

    def _thaw(self, process: Process) -> None:
        if process.frozen and not process.dead:
            self._tell(f"thaw {process.name}")
            self.loop.thaw(process)

    def _life(self, process: Process | None) -> Life | None:
        return next((life for life in self.current.values() if life.process is process), None)

    def _somebody(self) -> Process | None:
        alive = [life.process for life in self.current.values() if not life.process.frozen]
        return self.rng.choice(alive) if alive and self.faults.allowed else None

    def _count(self, process: Process) -> None:
        """A crash between any two steps, wherever the process waits."""
        if process.mortal and not process.dead and self._steps and self.faults.allowed:
            self._mortal_steps += 1
            if self._mortal_steps >= self._steps[0]:
                self._steps.pop(0)
                self.faults.note("crash at a step")
                self.crash(process, "at a step")

    # Faults at their own time

    def _event_crash(self) -> None:
        if (process := self._somebody()) is not None:
            self.crash(process, "at its time")

    def _event_freeze(self) -> None:
        if (process := self._somebody()) is not None:
            self.freeze(process, "at its time")

    def _event_stop(self) -> None:
        if (life := self._life(self._somebody())) is not None:
            self.faults.note("orderly stop")
            self._tell(f"stop {life.process.name}")
            life.stop.set()

    def _event_broker(self) -> None:
        if self.broker.is_up and self.faults.allowed:
            self._tell("broker down")
            self.broker.stop()
            self.loop.call_later(self.rng.uniform(0.1, 2.5), self._broker_up, context=NOBODY)

    def _broker_up(self) -> None:
        if not self.broker.is_up:
            self._tell("broker up")
            self.broker.start()

    def _heal(self) -> None:
        self._tell("heal")
        self.faults.allowed = False
        self.broker.slow_markers = 0.0
        self._broker_up()
        for life in self.lives:
            self._thaw(life.process)

    # The end

    async def _stop_all(self) -> None:
        self._stopping = True
        tasks = []
        for life in self.current.values():
            life.stop.set()
            tasks.append(life.task)
        if tasks:
            _, running = await asyncio.wait(tasks, timeout=STOPPING_S)
            self.findings += [f"does not stop within {STOPPING_S:g} virtual s" for _ in running]

    def _start_reader(self) -> "asyncio.Task[None]":
        process = Process("reader", mortal=False)
        return self.loop.create_task(self._read(), context=process.context)

    async def _read(self) -> None:
        bus = self._bus(self.scenario.settings, Journal(), SimulatedClients(self.network))  # type: ignore[arg-type]
        async with bus.read(self.outputs) as records:
            async for record in records:
                self.read_live.append(record)

    def _bury(self) -> None:
        """Let every task end that was left behind, so that nothing of it runs into the next seed."""
        self.network.over, self.loop.before_step = True, None
        self.loop._most_steps = self.loop.steps + BURIAL_STEPS
        for life in self.lives:
            life.process.dead = False
            self.loop.thaw(life.process)
        for _ in range(BURIALS):  # a cancellation can be swallowed
            self._cancel_all()
        for task in asyncio.all_tasks(self.loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        for clients in self.clients:
            for producer in clients.producers:
                producer._closed = True
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            with contextlib.suppress(Stuck):
                self.loop.run_until_complete(asyncio.wait(tasks, timeout=60.0))

    def _tell(self, what: str) -> None:
        if self.network.trace is not None:
            self.trace.append(f"{self.loop.time():9.4f} {'=====':10} {what}")
