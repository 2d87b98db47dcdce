"""Sampling an evaluation: what is on disk already is not drawn again."""

from collections.abc import Callable, Sequence
from pathlib import Path

from workers.engines.base import Engine
from workers.experiments.paper.claims import Evaluation
from workers.experiments.paper.crowds import crowd, crowd_seeds, sizes, stuffed
from workers.experiments.paper.instances import Instance
from workers.experiments.paper.market import Auctions, as_auctions
from workers.experiments.paper.sampling import (
    PROPOSALS,
    ProposalName,
    SamplePlan,
    Samples,
    content_address,
    draw_samples,
)
from workers.experiments.paper.store import SampleFile

Advance = Callable[[], None]  # called for each auction that is there


async def sample_evaluation(
    engine: Engine, instances: Sequence[Instance], folder: Path, *, seeds: int, max_tokens: int, advance: Advance
) -> Evaluation:
    """Both proposals' auctions, `seeds` of each instance, and crowds; `advance` for each. EngineError, OSError."""

    async def auctions(proposal: ProposalName, asked: Sequence[Instance], count: int) -> Auctions:
        plan = SamplePlan(proposal, max_tokens)
        return as_auctions(asked, [await _instance(engine, one, plan, folder, count, advance) for one in asked])

    context_aware, reference = [await auctions(proposal, instances, seeds) for proposal in PROPOSALS]
    crowds = {n: await auctions("context_aware", crowd(instances, n), crowd_seeds(seeds)) for n in sizes(instances)}
    stuffing = await auctions("context_aware", stuffed(instances), crowd_seeds(seeds))
    return Evaluation(context_aware, reference, crowds, stuffing)


def auctions_of(instances: Sequence[Instance], seeds: int) -> int:
    """How often `advance` will be called."""
    return len(instances) * (len(PROPOSALS) * seeds + (len(sizes(instances)) + 1) * crowd_seeds(seeds))


async def _instance(
    engine: Engine, instance: Instance, plan: SamplePlan, folder: Path, seeds: int, advance: Advance
) -> list[Samples]:
    file = SampleFile(folder, content_address(engine, instance, plan))
    known = file.read()
    for seed in range(seeds):
        if seed not in known:
            known[seed] = await draw_samples(engine, instance, plan, seed)
            file.append(seed, known[seed])
        advance()
    return [known[seed] for seed in range(seeds)]
