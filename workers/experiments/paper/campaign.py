"""Sampling an evaluation: what is on disk already is not drawn again."""

from collections.abc import Callable, Sequence
from pathlib import Path

from workers.engines.base import Engine
from workers.experiments.paper.claims import Evaluation
from workers.experiments.paper.instances import Instance
from workers.experiments.paper.market import as_auctions
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
    """Both proposals' auctions, `seeds` of each instance; `advance` is called for each. EngineError, OSError."""
    drawn: dict[ProposalName, list[list[Samples]]] = {}
    for proposal in PROPOSALS:
        plan = SamplePlan(proposal, max_tokens)
        drawn[proposal] = [await _instance(engine, one, plan, folder, seeds, advance) for one in instances]
    return Evaluation(*(as_auctions(instances, drawn[proposal]) for proposal in PROPOSALS))


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
