"""What vLLM is asked for: one reply drawn, or one reply scored, in the words of its two model runners."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from vllm import SamplingParams
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.sampling_params import RequestOutputKind

from workers.engines.base import Prompt
from workers.engines.log_probs import total
from workers.errors import EngineGone, EngineUnavailable

#: Nothing is detokenised, and only the finished reply crosses from the engine core: scoring 190 tokens costs the front
#: end half a millisecond instead of four.
_LEAN: dict[str, Any] = {"detokenize": False, "output_kind": RequestOutputKind.FINAL_ONLY}


def drawing(seed: int, max_tokens: int) -> SamplingParams:
    """One reply from the untruncated distribution at temperature 1; everything that could bend it is said."""
    return SamplingParams(
        seed=seed,
        max_tokens=max_tokens,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        min_p=0.0,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        repetition_penalty=1.0,
        logprobs=0,  # of the drawn token only
        flat_logprobs=True,
        **_LEAN,
    )


def drawn_nats(completion: CompletionOutput) -> float:
    """Of a reply that was drawn. EngineUnavailable: not every token has its log-probability."""
    rows = completion.logprobs
    return _sum([] if rows is None else rows.logprobs, len(completion.token_ids), "drew")


class ScoringRequest(Protocol):
    """How one reply is scored: the request for it, and the nats in the answer.

    Neither sets `skip_reading_prefix_cache`. Left alone, vLLM computes every position of a request that asks for
    log-probabilities. Told to read its cache, it gave plausible numbers that were wrong by up to 11 nats.
    """

    calls: str  # what `tessera doctor` shows

    def request(self, prompt: Prompt, reply: Sequence[int]) -> SamplingParams:
        """What vLLM is told besides the ids of prompt and reply, one behind the other."""
        ...

    def nats(self, output: RequestOutput, prompt: Prompt, reply: Sequence[int]) -> float:
        """The reply's log-probability in nats, from vLLM's answer. Raises as `log_probs.total` does."""
        ...


class SuffixScoring:
    """The V2 runner's way: the reply's ids are named, and only its rows go through the language-model head."""

    calls = "generate draws with processed log-probabilities; V2 model runner: scores by prompt_logprob_token_ids"

    def request(self, prompt: Prompt, reply: Sequence[int]) -> SamplingParams:
        return SamplingParams(
            max_tokens=1,
            temperature=1.0,  # 0, or a seed, would take the whole step off the fused sampler
            prompt_logprob_token_ids=np.asarray(reply, np.int32)[:, None],
            prompt_logprob_start=len(prompt) - 1,
            **_LEAN,
        )

    def nats(self, output: RequestOutput, prompt: Prompt, reply: Sequence[int]) -> float:
        _refuse_cached(output, len(prompt) - 1)
        rows = output.prompt_token_id_logprobs
        return _sum([] if rows is None else rows[:, 0].tolist(), len(reply))


class PromptScoring:
    """The V1 runner's way: log-probabilities of the whole prompt, of which the reply is the end."""

    calls = "generate draws with processed log-probabilities; V1 model runner: scores by prompt_logprobs"
    _REQUEST = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, flat_logprobs=True, **_LEAN)

    def request(self, prompt: Prompt, reply: Sequence[int]) -> SamplingParams:
        return self._REQUEST

    def nats(self, output: RequestOutput, prompt: Prompt, reply: Sequence[int]) -> float:
        _refuse_cached(output, 0)
        rows = output.prompt_logprobs
        known = [] if rows is None or len(rows) != len(prompt) + len(reply) else rows.logprobs[-len(reply) :]
        return _sum(known, len(reply))


def _refuse_cached(output: RequestOutput, allowed: int) -> None:
    """A position read from the prefix cache has no log-probability of its own: never take a number for it."""
    cached = output.num_cached_tokens or 0
    if cached > allowed:
        raise EngineGone(
            f"vLLM scored a reply with {cached} positions from its prefix cache, where at most {allowed} are right; "
            "its numbers cannot be used. Set TESSERA_VLLM_PREFIX_CACHING=false and report this"
        )


def _sum(log_probabilities: Sequence[float], length: int, did: str = "scored") -> float:
    """EngineUnavailable: there is not one for each token."""
    if len(log_probabilities) != length:
        raise EngineUnavailable(
            f"vLLM {did} a reply of {length} tokens with {len(log_probabilities)} log-probabilities"
        )
    return total(log_probabilities)
