"""What a run takes place in: virtual time, a broker, the network before it, the faults, the trace, the findings."""

import random

from tests.simulation.broker import Broker
from tests.simulation.clock import VirtualLoop
from tests.simulation.faults import Faults
from tests.simulation.network import Network
from tests.simulation.scenario import Scenario
from tests.simulation.trace import Trace

MOST_STEPS = 120_000


class World:
    """Of one seed. Its broker has neither topics nor groups yet. `findings`: what went wrong by now, in words."""

    def __init__(self, scenario: Scenario, *, traced: bool) -> None:
        self.scenario = scenario
        self.loop = VirtualLoop(MOST_STEPS)
        self.loop.grid_s = scenario.grid_s
        self.rng = random.Random(f"run {scenario.seed}")
        self.faults = Faults(self.rng, scenario.budget, scenario.intensity)
        self.broker = Broker(self.loop, self.rng, self.faults.note)
        self.broker.slow_markers = scenario.slow_markers
        if scenario.budget:
            self.broker.refuses_batch = self.faults.refuses_batch
        self.trace = Trace(self.loop.time, is_kept=traced)
        self.network = Network(self.loop, self.rng, self.broker, self.faults, self.trace)
        self.findings: list[str] = []
