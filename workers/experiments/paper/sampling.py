"""What the evaluation samples: 20 candidates of each proposal, scored by the reference and each advertiser's model."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, TypeAlias

import numpy as np

from schemas.identity import netstrings
from workers.engines.base import Engine, Reply, derive_seeds
from workers.engines.prompts import PAPER
from workers.experiments.paper.instances import Instance
from workers.mechanism.allocation import Floats

ProposalName: TypeAlias = Literal["context_aware", "reference"]
PROPOSALS: tuple[ProposalName, ...] = ("context_aware", "reference")
MOST_CANDIDATES = 20
SEEDS_KEY = b"tessera evaluation 1"  # public: the same engine draws the same replies again
FORMAT = "paper-samples-v2"


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The candidates of one instance, seed and proposal; all logarithms in nats."""

    texts: tuple[str, ...]  # [M]
    tokens: tuple[int, ...]  # [M] length of each reply
    log_q: Floats  # [M] under the proposal
    log_ref: Floats  # [M] under the reference model
    log_context: Floats  # [M] under the context-aware model; with log_ref, any mixture's density
    log_own: Floats  # [N, M] under each advertiser's model


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """Everything that what is drawn depends on, besides the instance and the seed."""

    proposal: ProposalName
    max_tokens: int
    candidates: int = MOST_CANDIDATES


def content_address(engine: Engine, instance: Instance, plan: SamplePlan) -> str:
    """Hexadecimal name of the samples of one instance: equal exactly when engine, plan and instance are."""
    model = engine.identity
    parts = (FORMAT, model.name, model.version, model.model_sha256, model.tokenizer_sha256, instance.digest)
    numbers = (plan.proposal, str(plan.max_tokens), str(plan.candidates))
    return sha256(netstrings(*parts, *numbers)).hexdigest()


async def draw_samples(engine: Engine, instance: Instance, plan: SamplePlan, seed: int) -> Samples:
    """The candidates of one seed, with every log-probability the auction needs. EngineError."""
    prompt = engine.encode(_turn(instance, plan.proposal))
    seeds = derive_seeds(SEEDS_KEY, f"{instance.digest}:{seed}", plan.proposal, plan.candidates)
    replies = await engine.sample(prompt, seeds=seeds, max_tokens=plan.max_tokens)
    context, reference, *own = [await _scores(engine, turn, replies) for turn in _scoring_turns(instance)]
    return Samples(
        tuple(reply.text for reply in replies),
        tuple(len(reply.token_ids) for reply in replies),
        np.array([reply.log_q for reply in replies]),
        reference,
        context,
        np.array(own),
    )


def _turn(instance: Instance, proposal: ProposalName) -> str:
    if proposal == "reference":
        return PAPER.reference_turn(instance.question)
    return PAPER.context_aware_turn(instance.question, instance.proposed or instance.advertisers)


def _scoring_turns(instance: Instance) -> Sequence[str]:
    """The context-aware model's turn, the reference's, then each advertiser's."""
    own = [PAPER.advertiser_turn(instance.question, one) for one in instance.advertisers]
    return [_turn(instance, "context_aware"), _turn(instance, "reference"), *own]


async def _scores(engine: Engine, turn: str, replies: Sequence[Reply]) -> Floats:
    return await engine.log_probs(engine.encode(turn), replies)
