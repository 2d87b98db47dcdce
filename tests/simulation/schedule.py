"""The faults that come at their own time or after so many steps, and the time from which there are none any more."""

from collections.abc import Callable

from tests.simulation.clock import NOBODY, Process
from tests.simulation.crew import Crew
from tests.simulation.world import World

BROKER_DOWN_S = (0.1, 2.5)


class Schedule:
    """`scenario.events` and `scenario.steps`, done to the crew and to the broker."""

    def __init__(self, world: World, crew: Crew) -> None:
        self._world, self._crew = world, crew
        self._steps = list(world.scenario.steps)
        self._mortal_steps = 0
        self._actions: dict[str, Callable[[], None]] = {
            "crash": lambda: self._strike(lambda process: crew.crash(process, "at its time")),
            "freeze": lambda: self._strike(lambda process: crew.freeze(process, "at its time")),
            "stop": lambda: self._strike(crew.stop),
            "broker": self._broker_down,
            "election": self._election,
        }
        if self._steps:
            world.loop.before_step = self._count

    def begin(self) -> None:
        for at_s, what in self._world.scenario.events:
            self._world.loop.call_at(at_s, self._actions[what], context=NOBODY)

    def heal(self) -> None:
        """No fault from now on, and what is broken works again."""
        self._world.trace.happened("heal")
        self._world.faults.allowed = False
        self._world.broker.slow_markers = 0.0
        self._broker_up()
        self._crew.thaw()

    def _strike(self, act: Callable[[Process], None]) -> None:
        """Somebody, if there is anybody."""
        awake = self._crew.awake()
        if awake and self._world.faults.allowed:
            act(self._world.rng.choice(awake))

    def _count(self, process: Process) -> None:
        """A crash between any two steps, wherever the process waits."""
        if process.mortal and not process.dead and self._steps and self._world.faults.allowed:
            self._mortal_steps += 1
            if self._mortal_steps >= self._steps[0]:
                self._steps.pop(0)
                self._world.faults.note("crash at a step")
                self._crew.crash(process, "at a step")

    def _election(self) -> None:
        if self._world.faults.allowed:
            self._world.trace.happened("election")
            self._world.broker.elect()

    def _broker_down(self) -> None:
        if self._world.broker.is_up and self._world.faults.allowed:
            self._world.trace.happened("broker down")
            self._world.broker.stop()
            self._world.loop.call_later(self._world.rng.uniform(*BROKER_DOWN_S), self._broker_up, context=NOBODY)

    def _broker_up(self) -> None:
        if not self._world.broker.is_up:
            self._world.trace.happened("broker up")
            self._world.broker.start()
