"""One run of a seed: from the first record until all input is consumed, the faults healed, the workers stopped."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Protocol

from schemas.record import Record
from tests.simulation.answering import Answering
from tests.simulation.burial import bury
from tests.simulation.clients import SimulatedClients
from tests.simulation.clock import NOBODY, Process, Stuck
from tests.simulation.crew import Crew
from tests.simulation.lives import Journal, Outcome, virtual_clock
from tests.simulation.scenario import BUSY_S, Scenario
from tests.simulation.schedule import Schedule
from tests.simulation.world import World
from workers.stage import Stage
from workers.stream.kafka import KafkaBus

HEALING_S = 90.0
CATCHING_UP_S = 5.0
LOOK_S = 0.25


class Workload(Protocol):
    """What there is to be done, and who does it. Makes its topics and groups at the broker of the world it is given."""

    @property
    def outputs(self) -> Sequence[str]:
        """Topics in which the results are."""

    @property
    def inputs(self) -> dict[tuple[int, int], int]:
        """Which of `scenario.given` is at a partition and offset by now; empty where the input is another."""

    def stages(self, process: Process) -> list[Stage]:
        """What this worker process runs."""

    def plan_input(self) -> None:
        """Set timers for all input."""


class Simulation:
    """Builds the world of one seed and runs it."""

    def __init__(
        self, scenario: Scenario, workload: Callable[[World], Workload] = Answering, *, traced: bool = False
    ) -> None:
        self.world = World(scenario, traced=traced)
        self._workload = workload(self.world)
        self._crew = Crew(self.world, self._workload.stages)
        self._schedule = Schedule(self.world, self._crew)
        self._read_live: list[Record] = []

    def run(self) -> Outcome:
        world = self.world
        random.seed(world.scenario.seed)
        with virtual_clock(world.broker):
            try:
                world.loop.run_until_complete(world.loop.create_task(self._main(), context=NOBODY.copy()))
            except Stuck as stuck:
                world.findings.append(f"stuck at {world.loop.now_s:.1f} virtual s: {stuck}")
            world.findings += map(str, world.loop.errors)
            outcome = self._outcome()
            bury(world, self._crew.lives)
        return outcome

    def _outcome(self) -> Outcome:
        world = self.world
        return Outcome(
            world.scenario,
            world.broker,
            world.faults,
            self._crew.lives,
            self._workload.inputs,
            self._read_live,
            world.findings,
            world.loop.steps,
            world.loop.now_s,
            world.trace.lines,
        )

    async def _main(self) -> None:
        self._workload.plan_input()
        reader = self._start_reader()
        await asyncio.sleep(0.05)
        for slot in range(self.world.scenario.workers):
            self._crew.start(slot)
        self._schedule.begin()
        await asyncio.sleep(BUSY_S)
        self._schedule.heal()
        if await self._until(self._is_done, HEALING_S):
            await asyncio.sleep(0.5)
        else:
            self.world.findings.append(self._what_is_missing())
        await self._crew.stop_all()
        await self._until(lambda: not self._live_is_behind(), CATCHING_UP_S)
        self.world.network.over = True
        reader.cancel()

    async def _until(self, condition: Callable[[], bool], within_s: float) -> bool:
        end_s = self.world.loop.time() + within_s
        while not condition():
            if self.world.loop.time() > end_s:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    def _is_done(self) -> bool:
        """All input consumed to its very end, nothing under way anywhere."""
        broker = self.world.broker
        is_quiet = not self.world.network.underway and not broker.transactions.busy
        return is_quiet and all(
            group.committed[topic, number][0] == broker.logs[topic][number].end
            for group in broker.groups.values()
            for topic, number in group.places
        )

    def _what_is_missing(self) -> str:
        broker = self.world.broker
        groups = "; ".join(
            f"ends {[broker.logs[topic][number].end for topic, number in group.places]}, committed {group.committed}, "
            f"open {broker.transactions.busy}, members {sorted(group.members)}"
            for group in broker.groups.values()
        )
        return f"not done {HEALING_S:g} virtual s after healing: {groups}"

    def _live_is_behind(self) -> bool:
        logs = [log for topic in self._workload.outputs for log in self.world.broker.logs[topic]]
        return len(self._read_live) < sum(len(log.visible()) for log in logs)

    def _start_reader(self) -> "asyncio.Task[None]":
        process = Process("reader", mortal=False)
        return self.world.loop.create_task(self._read(), context=process.context)

    async def _read(self) -> None:
        clients = SimulatedClients(self.world.network)
        bus = KafkaBus(self.world.scenario.settings, Journal(), clients)  # type: ignore[arg-type]
        async with bus.read(self._workload.outputs) as records:
            async for record in records:
                self._read_live.append(record)
