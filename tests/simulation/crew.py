"""The worker processes of a run: each starts, crashes, freezes, thaws or stops, and another takes its place."""

import asyncio
from collections.abc import Callable

from tests.simulation.clients import SimulatedClients
from tests.simulation.clock import NOBODY, Process
from tests.simulation.disk import Disk
from tests.simulation.lives import Journal, Life, actor_of
from tests.simulation.world import World
from workers.errors import BrokerError
from workers.stage import Stage
from workers.stream.kafka import KafkaBus

STOPPING_S = 30.0
ABSENCE_S = (0.05, 1.0)  # from the end of a process to the start of the next
FREEZES = (0.3, 3.0)  # in sessions


class Crew:
    """One process in each slot, which runs what `stages` gives it. `lives`: all that ever were."""

    def __init__(self, world: World, stages: Callable[[Process], list[Stage]]) -> None:
        self._world, self._stages = world, stages
        self._network, self._tell = world.network, world.trace.happened
        self._network.crash, self._network.freeze = self.crash, self.freeze
        self.lives: list[Life] = []
        self._current: dict[int, Life] = {}
        self._disks: dict[int, Disk] = {}  # of the slots
        self._is_stopping = False

    def start(self, slot: int) -> None:
        if self._is_stopping or slot in self._current:
            return
        life = Life(Process(f"worker-{slot}.{len(self.lives)}"), slot, asyncio.Event(), Journal())
        self.lives.append(life)
        self._current[slot] = life
        self._tell(f"start {life.process.name}")
        life.task = self._world.loop.create_task(self._work(life), context=life.process.context)
        life.task.add_done_callback(lambda _: self._ended(life), context=NOBODY)

    def awake(self) -> list[Process]:
        """Those that run and are not frozen."""
        return [life.process for life in self._current.values() if not life.process.frozen]

    def crash(self, process: Process, why: str) -> None:
        """The process is gone in the middle of whatever it does."""
        life = self._life(process)
        if life is None or process.dead:
            return
        self._world.faults.note("crash")
        self._tell(f"crash {process.name} {why}")
        process.dead = True
        self._replace(life)

    def freeze(self, process: Process, why: str) -> None:
        """The process stands still for a while, some longer than their session."""
        if self._life(process) is None or process.dead or process.frozen:
            return
        session_s = self._world.scenario.session_s
        duration_s = session_s * self._world.rng.uniform(*FREEZES)
        self._world.faults.note("zombie" if duration_s > session_s else "pause")
        self._tell(f"freeze {process.name} {why}, {duration_s:.2f} s")
        process.frozen = True
        self._world.loop.call_later(duration_s, self._thaw, process, context=NOBODY)

    def thaw(self) -> None:
        """Let all go on."""
        for life in self.lives:
            self._thaw(life.process)

    def stop(self, process: Process) -> None:
        """Ask the process to end in order."""
        if (life := self._life(process)) is not None:
            self._world.faults.note("orderly stop")
            self._tell(f"stop {process.name}")
            life.stop.set()

    async def stop_all(self) -> None:
        """Ask all to end in order; nobody takes their place."""
        self._is_stopping = True
        tasks = []
        for life in self._current.values():
            life.stop.set()
            tasks.append(life.task)
        if tasks:
            _, running = await asyncio.wait(tasks, timeout=STOPPING_S)
            self._world.findings += [f"does not stop within {STOPPING_S:g} virtual s" for _ in running]

    async def _work(self, life: Life) -> None:
        settings = self._world.scenario.settings
        if self._world.scenario.static:
            settings = settings.model_copy(update={"instance": self._instance(life.slot)})
        clients = life.clients = SimulatedClients(self._network)
        disk = self._disks.setdefault(life.slot, Disk(self._world))
        bus = KafkaBus(settings, life.journal, clients, disk)  # type: ignore[arg-type]
        try:
            await bus.run(self._stages(life.process), life.stop)
        except BrokerError as error:
            life.failure = error
            self._tell(f"{life.process.name} exits: {error}")
            self._world.faults.note("worker gave up")

    def _instance(self, slot: int) -> str:
        return str(slot)

    def _ended(self, life: Life) -> None:
        """The process is at its end: what raises here is no crash of ours. Another takes its place."""
        assert life.task is not None
        findings = self._world.findings
        if not self._network.over and not life.task.cancelled() and (error := life.task.exception()) is not None:
            findings.append(f"{life.process.name} ended with {error!r}")
        if life.process.dead or self._network.over:
            return
        self._tell(f"{life.process.name} ended")
        findings += [f"{life.process.name} leaves {name} running behind it" for name in self._left_behind(life)]
        life.process.dead = True
        self._replace(life)

    def _left_behind(self, life: Life) -> list[str]:
        """Names of the actors' tasks that still run."""
        coroutines = {task.get_name(): task.get_coro() for task in asyncio.all_tasks(self._world.loop)}
        actors = {name: actor_of(coroutine) for name, coroutine in coroutines.items()}
        return sorted(name for name, actor in actors.items() if actor and actor._transactions._clients is life.clients)

    def _replace(self, life: Life) -> None:
        if self._current.get(life.slot) is life:
            del self._current[life.slot]
            delay_s = self._world.rng.uniform(*ABSENCE_S)
            self._world.loop.call_later(delay_s, self.start, life.slot, context=NOBODY)

    def _thaw(self, process: Process) -> None:
        if process.frozen and not process.dead:
            self._tell(f"thaw {process.name}")
            self._world.loop.thaw(process)

    def _life(self, process: Process) -> Life | None:
        return next((life for life in self._current.values() if life.process is process), None)
