"""Processes with one instance name, on a broker that gives the place in the group to whoever joined last."""

from dataclasses import replace
from unittest import mock

import pytest

from tests.simulation import simulation
from tests.simulation.checks import judge
from tests.simulation.clock import NOBODY
from tests.simulation.crew import Crew
from tests.simulation.lives import Life
from tests.simulation.scenario import Scenario
from tests.simulation.simulation import Simulation
from workers.errors import Unsuitable

pytestmark = pytest.mark.simulation

OTHER = 2  # a slot
LATEST_START_S = 4.0
ENDS_WITHIN_SESSIONS = 3.0


class Twins(Crew):
    """All but OTHER have one name; who has ended stays away. They start together (an even seed) or within seconds."""

    def __init__(self, *rest: object) -> None:
        super().__init__(*rest)  # type: ignore[arg-type]
        self.began_s: dict[Life, float] = {}
        self.lasted_s: dict[Life, float] = {}

    def start(self, slot: int) -> None:
        world = self._world
        if slot in self._current or slot in {life.slot for life in self.lives}:
            return
        delay_s = world.rng.uniform(0, LATEST_START_S) if world.scenario.seed % 2 else 0.0
        world.loop.call_later(delay_s, self._begin, slot, context=NOBODY)

    def _begin(self, slot: int) -> None:
        super().start(slot)
        self.began_s[self.lives[-1]] = self._world.loop.time()

    def _instance(self, slot: int) -> str:
        return "other" if slot == OTHER else "twin"

    def _ended(self, life: Life) -> None:
        super()._ended(life)
        self.lasted_s[life] = self._world.loop.time() - self.began_s[life]

    def _replace(self, life: Life) -> None:
        self._current.pop(life.slot, None)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("seed", range(8))
def test_of_processes_with_one_instance_name_the_first_goes_on_and_each_other_ends_soon(
    seed: int, workers: int
) -> None:
    scenario = replace(Scenario.draw(seed, faults=False), workers=workers, static=True, events=(), steps=())
    with mock.patch.object(simulation, "Crew", Twins):
        run = Simulation(scenario)
        outcome = run.run()

    assert judge(outcome) == []
    first, *others = (life for life in outcome.lives if life.slot != OTHER)
    assert first.failure is None
    assert {type(life.failure) for life in others} == {Unsuitable}
    crew = run._crew
    assert isinstance(crew, Twins)
    assert max(crew.lasted_s[life] for life in others) < ENDS_WITHIN_SESSIONS * scenario.session_s
