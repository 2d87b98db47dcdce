"""An engine without a model, for benchmarks and crash tests: token probabilities derived from a hash of the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256, shake_128

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import Identity, Limits, Prompt, Reply, Scorer, SeedScope, check_sampling, check_scoring
from workers.errors import SettingsError

VOCABULARY = 260  # 256 bytes behind four special ids
START, END = 1, 2
FIRST_BYTE = 4
CONTEXT = 65_536
CHANCES = 4_096  # of each draw; every token has a whole number of them, so that its probability is exact
END_CHANCES = 82  # replies of 50 tokens on average
SPREAD_NATS = 1.04  # from the least to the most probable of the other tokens
CACHED_PROMPTS = 1_024
DIMENSIONS = 16  # of an embedding

_OF_BYTE = range(FIRST_BYTE, VOCABULARY).__getitem__
_WORDS = tuple(f"w{token}" for token in range(VOCABULARY))
_OTHERS = np.delete(np.arange(VOCABULARY), END)


def _shares() -> NDArray[np.int64]:
    """[VOCABULARY] chances by rank: the other tokens' from few to many, then those of the end."""
    edges = np.cumsum(np.exp(np.linspace(0.0, SPREAD_NATS, len(_OTHERS))))
    others = np.diff(np.rint(edges * ((CHANCES - END_CHANCES) / edges[-1])), prepend=0.0)
    return np.append(others, END_CHANCES).astype(np.int64)


_LOG_SHARES = np.log(_shares() / CHANCES)
_RANKS = np.repeat(np.arange(VOCABULARY), _shares())  # [CHANCES] whose each chance is


class NullEngine:
    """Every token of a reply comes from one distribution; log-probabilities are exact.

    The chances are the same for every prompt; the prompt's hash deals them out to the tokens.
    """

    seed_scope: SeedScope = "reply"
    dimensions = DIMENSIONS

    def __init__(self, system: str = "") -> None:
        self._frame = (START, *map(_OF_BYTE, system.encode()))
        nothing = sha256(b"null").hexdigest()
        self.identity = Identity("null", "2", nothing, nothing, "none: chances from a hash of the prompt")
        self.limits = Limits(VOCABULARY, CONTEXT)

    def encode(self, turn: str) -> Prompt:
        return (*self._frame, *map(_OF_BYTE, turn.encode()))

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        check_sampling(prompt, max_tokens, self.limits)
        return _draw(_distribution(prompt), seeds, max_tokens)

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        ids = check_scoring(prompt, replies, self.limits)
        if not replies:
            return np.zeros(0)
        starts = np.cumsum([0, *(len(reply.token_ids) for reply in replies[:-1])])
        return np.asarray(np.add.reduceat(_distribution(prompt).log_probabilities[ids], starts))

    async def embed(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        """float64 [M, D]: numbers in [-1, 1] from a hash of prompt and reply."""
        check_scoring(prompt, replies, self.limits)
        rows = [_numbers(prompt, reply.token_ids) for reply in replies]
        return np.array(rows).reshape(len(rows), DIMENSIONS)

    def adapter(self, name: str) -> Scorer:
        raise SettingsError(f"the engine `null` takes no LoRA adapters; {name!r} needs one that does: vllm:MODEL")

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True, slots=True)
class _Distribution:
    """Of every next token after one prompt."""

    tokens: NDArray[np.int64]  # [VOCABULARY] by rank
    log_probabilities: NDArray[np.float64]  # [VOCABULARY] nats, by token


@lru_cache(CACHED_PROMPTS)
def _distribution(prompt: Prompt) -> _Distribution:
    dealt = shake_128(np.asarray(prompt, np.int64).tobytes()).digest(len(_OTHERS))
    tokens, log_probabilities = np.full(VOCABULARY, END), np.empty(VOCABULARY)
    tokens[:-1] = _OTHERS[np.frombuffer(dealt, np.uint8).argsort(kind="stable")]
    log_probabilities[tokens] = _LOG_SHARES
    return _Distribution(tokens, log_probabilities)


def _numbers(prompt: Prompt, token_ids: tuple[int, ...]) -> NDArray[np.float64]:
    """[DIMENSIONS]"""
    text = np.asarray((len(prompt), *prompt, *token_ids), np.int64).tobytes()
    return np.frombuffer(shake_128(text).digest(DIMENSIONS), np.uint8) / 127.5 - 1.0


def _draw(distribution: _Distribution, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
    """One reply for each seed, from a stream of 16 random bits for each of its tokens."""
    bits = b"".join([shake_128(seed.to_bytes(8, "big")).digest(2 * max_tokens) for seed in seeds])
    chances = np.frombuffer(bits, "<u2").reshape(len(seeds), max_tokens) % CHANCES
    ids = distribution.tokens[_RANKS[chances]]
    ends = ids == END
    finished = ends.any(axis=1)
    lengths = np.where(finished, ends.argmax(axis=1) + 1, max_tokens)
    log_q = np.cumsum(distribution.log_probabilities[ids], axis=1)[np.arange(len(seeds)), lengths - 1]
    rows = zip(ids.tolist(), lengths.tolist(), log_q.tolist(), finished.tolist(), strict=True)
    return tuple([_reply(tuple(row[:length]), total, whole) for row, length, total, whole in rows])


def _reply(token_ids: tuple[int, ...], log_q: float, finished: bool) -> Reply:
    words = token_ids[:-1] if finished else token_ids
    return Reply(token_ids, " ".join([_WORDS[token] for token in words]), log_q, finished)
