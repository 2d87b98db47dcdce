"""With any one protection switched off some seed fails: the simulator would have noticed."""

import dataclasses
import itertools
from typing import Any

import pytest

from tests.simulation.checks import judge
from tests.simulation.mutants import MUTANTS
from tests.simulation.scenario import Scenario
from tests.simulation.simulation import Simulation

pytestmark = [pytest.mark.simulation, pytest.mark.usefixtures("quiet")]

MOST_SEEDS = 4_000
OUR_OWN_MISTAKES = ("TypeError", "AttributeError", "NameError")  # a mutant that does not even run shows nothing

#: Scenarios in which a mutant shows itself sooner; the seeds of test_simulation.py hold these too, only rarer.
FOCUS: dict[str, dict[str, Any]] = {
    "producer_kept_after_a_lost_answer": {"intensity": 2.0, "budget": 8, "slowness_s": 0.01},
    "no_ownership_check": {"grid_s": 0.01, "slowness_s": 3.0, "static": False},  # a cancellation must be swallowed
}


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_noticed_by_the_simulation(name: str) -> None:
    scenarios = (
        dataclasses.replace(Scenario.draw(seed), **FOCUS.get(name, {}))
        for seed in itertools.islice(itertools.count(), MOST_SEEDS)
    )

    with MUTANTS[name]():
        outcomes = ((scenario.seed, judge(Simulation(scenario).run())) for scenario in scenarios)
        seed, findings = next(((seed, found) for seed, found in outcomes if found), (None, []))

    assert seed is not None, f"{MOST_SEEDS} seeds do not notice: {MUTANTS[name].__doc__}"
    assert not [text for text in findings if any(mistake in text for mistake in OUR_OWN_MISTAKES)]
    print(f"{name}: seed {seed}")
