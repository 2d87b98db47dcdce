"""The proof at start that each LoRA adapter scores, and that no reply gets another's score."""

from collections.abc import Mapping, Sequence

import numpy as np

from workers.engines.base import Prompt, Reply
from workers.engines.calls import all_of
from workers.engines.vllm_local.adapters import refused
from workers.engines.vllm_local.engine import VllmScorer
from workers.errors import EngineGone, EngineRejected, NotANumber

TURN, ANSWER = "How do I bake cookies?", "Mix flour, butter and sugar, then bake."
TOLERANCE_NATS = {"torch.float32": 1e-3}  # per token
TOLERANCE_16_BIT_NATS = 0.02
NOTHING_NATS = 1e-6  # by which a reply's score changes, at most, where an adapter was ignored


async def check_separation(base: VllmScorer, adapted: Mapping[str, VllmScorer], dtype: str) -> None:
    """Score one reply with the model and each adapter, alone and all in one batch.

    SettingsError: an adapter changes nothing, or what it computes is no number. EngineGone: the batch changes the
    scores, or the model itself computes none.
    """
    scorers = [base, *adapted.values()]
    prompt, ids = base.encode(TURN), base.encode(ANSWER)
    replies = [Reply(ids, "", 0.0, False)]
    alone = [float((await base.log_probs(prompt, replies))[0])]
    alone += [await _scored(name, scorer, prompt, replies) for name, scorer in adapted.items()]
    for name, score in zip(adapted, alone[1:], strict=True):
        if abs(score - alone[0]) <= NOTHING_NATS:
            raise refused(
                name,
                "changes nothing: a reply scores as without it. It was never trained, or vLLM ignores its modules, "
                "because they are named as in another model: export it for this one",
            )
    together = await all_of(scorer.log_probs(prompt, replies) for scorer in scorers * 2)
    gaps = np.abs(np.concatenate(together) - np.tile(alone, 2))
    if gaps.max() > TOLERANCE_NATS.get(dtype, TOLERANCE_16_BIT_NATS) * len(ids):
        raise EngineGone(
            f"vLLM mixes up LoRA adapters: scored in one batch, a reply's log-probability is off by {gaps.max():.3g} "
            "nats. No score can be trusted; serve the adapters from separate engines"
        )


async def _scored(name: str, scorer: VllmScorer, prompt: Prompt, replies: Sequence[Reply]) -> float:
    """The one reply's nats under an adapter. The model without it has just scored the same."""
    try:
        return float((await scorer.log_probs(prompt, replies))[0])
    except (NotANumber, EngineRejected) as error:
        raise refused(name, f"cannot score a plain reply, and the model without it can: {error}") from error
