"""The workload of most seeds: one small stage, and for it the records that the scenario gives."""

from tests.simulation.clock import NOBODY, Process
from tests.simulation.log import Fate, Piece, Stored
from tests.simulation.scenario import (
    ANSWERED,
    ASKED,
    IN_FLIGHT,
    OUTPUTS,
    PARTITIONS,
    USED,
    Answerer,
    Given,
    spec,
)
from tests.simulation.world import World
from workers.stage import Stage


class Answering:
    """`answerer` does the work. `inputs`: which of `scenario.given` is at a partition and offset."""

    outputs = OUTPUTS

    def __init__(self, world: World, answerer: type[Answerer] = Answerer) -> None:
        self._world, self._answerer = world, answerer
        self._spec = spec(world.scenario)
        self.inputs: dict[tuple[int, int], int] = {}
        for topic in (ASKED.name, ANSWERED.name, USED.name, ASKED.dead_letters, self._spec.positions):
            world.broker.create(topic, PARTITIONS)
        world.broker.add_group(self._spec.group, self._spec.consumes.name)

    def stages(self, process: Process) -> list[Stage]:
        def crash() -> None:
            self._world.faults.note("crash by a record")
            self._world.network.crash(process, "by a record")

        return [Stage(self._spec, self._answerer(self._world.scenario, self._world.rng, crash), IN_FLIGHT)]

    def plan_input(self) -> None:
        for index, given in enumerate(self._world.scenario.given):
            self._world.loop.call_at(given.at_s, self._publish, index, given, context=NOBODY)

    def _publish(self, index: int, given: Given) -> None:
        broker, partition = self._world.broker, given.partition
        if given.value is None:
            log = broker.logs[ASKED.name][partition]
            log.append(Stored(ASKED.name, partition, 0, 0, b"x", b"x", piece=Piece(0, Fate.ABORTED)))
            log.append(Stored(ASKED.name, partition, 0, 0, marker=True))
            broker.wake((ASKED.name, partition))
        else:
            offset = broker.append(ASKED.name, partition, given.query_id.encode(), given.value)
            self.inputs[partition, offset] = index
