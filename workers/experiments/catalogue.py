"""Every experiment by the name it has on the command line."""

from collections.abc import Callable
from dataclasses import dataclass

from workers.experiments import convergence, decoding
from workers.experiments.figure import Advance, Figure


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment: run(seed, advance) gives the same figure for the same seed and calls advance `steps` times."""

    summary: str
    steps: int
    run: Callable[[int, Advance], Figure]


EXPERIMENTS = {
    "convergence": Experiment(
        "The drawn reply's law tends to the optimal one as M grows, about as 1/M. Half a minute.",
        convergence.STEPS,
        convergence.run,
    ),
    "decoding": Experiment(
        "Log q must be the processed log-probability: what temperature, top_p and top_k do.",
        decoding.STEPS,
        decoding.run,
    ),
}
