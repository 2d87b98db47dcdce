"""Many seeds, on all cores: what failed, and how often each fault really happened."""

import logging
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

from tests.simulation import auctions
from tests.simulation.auctions import Auctions
from tests.simulation.checks import judge
from tests.simulation.scenario import Scenario
from tests.simulation.simulation import Simulation

CHUNK = 100


@dataclass
class Tally:
    """Of one or many runs."""

    seeds: int = 0
    steps: int = 0
    failed: dict[int, list[str]] = field(default_factory=dict)
    happened: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        self.seeds += other.seeds
        self.steps += other.steps
        self.failed |= other.failed
        self.happened += other.happened

    def __str__(self) -> str:
        counts = "\n".join(f"{count:10,} {what}" for what, count in sorted(self.happened.items()))
        failures = "\n".join(
            f"seed {seed}: {'; '.join(findings)}\n    python -m tests.simulation --seed {seed} --trace"
            for seed, findings in sorted(self.failed.items())
        )
        return f"{counts}\n{failures}"


def run_seed(seed: int) -> Tally:
    outcome = Simulation(Scenario.draw(seed)).run()
    findings = judge(outcome)
    return Tally(1, outcome.steps, {seed: findings} if findings else {}, outcome.faults.happened)


def run_auctions(seed: int) -> Tally:
    """As `run_seed`, of the real three stages."""
    outcome = Simulation(Scenario.draw(seed), Auctions).run()
    findings = list(auctions.judge(outcome))
    return Tally(1, outcome.steps, {seed: findings} if findings else {}, outcome.faults.happened)


def run_chunk(run: Callable[[int], Tally], first: int, count: int) -> Tally:
    logging.disable(logging.CRITICAL)
    tally = Tally()
    for seed in range(first, first + count):
        tally.add(run(seed))
    return tally


def run_many(first: int, count: int, run: Callable[[int], Tally] = run_seed) -> Iterator[Tally]:
    """The tally of each chunk, as it is finished."""
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        starts = range(first, first + count, CHUNK)
        chunks = [pool.submit(run_chunk, run, start, min(CHUNK, first + count - start)) for start in starts]
        for chunk in as_completed(chunks):
            yield chunk.result()
