"""An engine without a model, for benchmarks and crash tests: token probabilities derived from a hash of the prompt."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b, sha256

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import Identity, Limits, Prompt, Reply, SeedScope, check_sampling, check_scoring

VOCABULARY = 260  # 256 bytes behind four special ids
START, END = 1, 2
FIRST_BYTE = 4
CONTEXT = 65_536
END_PROBABILITY = 0.02  # replies of 50 tokens on average
CACHED_PROMPTS = 1_024


class NullEngine:
    """Every token of a reply comes from one distribution that the prompt's hash fixes; log-probabilities are exact."""

    seed_scope: SeedScope = "reply"

    def __init__(self) -> None:
        nothing = sha256(b"null").hexdigest()
        self.identity = Identity("null", "1", nothing, nothing)
        self.limits = Limits(VOCABULARY, CONTEXT)

    def encode(self, turn: str) -> Prompt:
        return (START, *(FIRST_BYTE + byte for byte in turn.encode()))

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        check_sampling(prompt, max_tokens, self.limits)
        log_probabilities = _distribution(prompt)
        cumulated = np.cumsum(np.exp(log_probabilities))
        return tuple(_draw(cumulated, log_probabilities, seed, max_tokens) for seed in seeds)

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        check_scoring(prompt, replies, self.limits)
        log_probabilities = _distribution(prompt)
        return np.array([log_probabilities[list(reply.token_ids)].sum() for reply in replies], dtype=np.float64)

    async def close(self) -> None:
        """Nothing is held."""


@lru_cache(CACHED_PROMPTS)
def _distribution(prompt: Prompt) -> NDArray[np.float64]:
    """[VOCABULARY] log-probabilities of every next token after `prompt`, nats."""
    digest = blake2b(np.asarray(prompt, np.int64).tobytes(), digest_size=8).digest()
    logits = np.random.default_rng(int.from_bytes(digest, "big")).normal(0.0, 0.3, VOCABULARY)
    weights = np.exp(logits)
    weights[END] = 0.0
    weights *= (1.0 - END_PROBABILITY) / weights.sum()
    weights[END] = END_PROBABILITY
    return np.log(weights)


def _draw(cumulated: NDArray[np.float64], log_probabilities: NDArray[np.float64], seed: int, max_tokens: int) -> Reply:
    uniforms = np.random.Generator(np.random.PCG64(seed)).random(max_tokens) * cumulated[-1]
    ids = np.minimum(np.searchsorted(cumulated, uniforms, side="right"), VOCABULARY - 1)
    ends = np.flatnonzero(ids == END)
    finished = len(ends) > 0
    ids = ids[: int(ends[0]) + 1] if finished else ids
    token_ids: tuple[int, ...] = tuple(ids.tolist())
    return Reply(token_ids, _text(token_ids), float(log_probabilities[ids].sum()), finished)


def _text(token_ids: tuple[int, ...]) -> str:
    return " ".join(f"w{token}" for token in token_ids if token != END)
