"""What an engine is: it draws replies with the exact log-probability each was drawn with, and scores given replies."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.identity import netstrings
from workers.errors import EngineRejected

Prompt = tuple[int, ...]
SEED_BITS = 63  # a seed fits int64 and is never -1, which some engines take for "no seed"
MAX_KEY_BYTES = 64  # of the hash below

#: What a reply depends on besides prompt and model: its own seed, or all seeds of the call in their order.
SeedScope = Literal["reply", "call"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. `log_q` is the sum over all token_ids, nats, under the distribution it was drawn from."""

    token_ids: tuple[int, ...]
    text: str
    log_q: float
    finished: bool  # True: the last id is an end token, and its probability is in log_q


@dataclass(frozen=True, slots=True)
class Identity:
    """Which model this is, precise enough to load the same one again."""

    name: str
    version: str
    model_sha256: str
    tokenizer_sha256: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What the model can take: ids in [0, vocabulary), and prompt plus reply of at most `context` tokens."""

    vocabulary: int
    context: int


class Engine(Protocol):
    """A language model.

    Promises, each checked by tests/contracts/test_engines.py:

    * `encode` wraps a user's turn as the model expects it; the model's special tokens in the turn are plain text.
    * `sample` draws one reply for each seed, i.i.d. at temperature 1 from the untruncated distribution. The same call
      gives the same replies; with `seed_scope` "reply" each depends on its own seed only. A finished reply ends in the
      end token, which counts in `log_q`; one that is cut has exactly `max_tokens` ids and no end token.
    * `log_probs` returns float64 [M], nats, in the order given, duplicates included; for the prompt a reply was drawn
      from it equals the reply's `log_q` within 1e-3.
    * An empty, oversize or out-of-vocabulary prompt or reply raises EngineRejected. An engine that is
      down raises EngineUnavailable, and the call works when it is back; one that never comes back raises EngineGone,
      one that gives no answer in its own time EngineTimeout.
    """

    identity: Identity
    limits: Limits
    seed_scope: SeedScope

    def encode(self, turn: str) -> Prompt: ...

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]: ...

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]: ...

    async def close(self) -> None: ...


def derive_seed(key: bytes, auction_id: str, purpose: str, index: int) -> int:
    """A 63-bit seed for one draw; other purposes and indices give unrelated seeds."""
    message = netstrings("seed-v1", auction_id, purpose, str(index))
    digest = blake2b(message, key=key[:MAX_KEY_BYTES], digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - SEED_BITS)


def check_sampling(prompt: Prompt, max_tokens: int, limits: Limits) -> None:
    """Raise EngineRejected unless the prompt is usable and leaves room for a reply."""
    _check_ids("prompt", prompt, limits)
    if max_tokens < 1 or len(prompt) + max_tokens > limits.context:
        raise EngineRejected(f"a prompt of {len(prompt)} and a reply of {max_tokens} tokens exceed {limits.context}")


def check_scoring(prompt: Prompt, replies: Sequence[Reply], limits: Limits) -> None:
    """Raise EngineRejected unless every reply can be scored behind the prompt."""
    _check_ids("prompt", prompt, limits)
    for reply in replies:
        _check_ids("reply", reply.token_ids, limits)
        if len(prompt) + len(reply.token_ids) > limits.context:
            raise EngineRejected(
                f"a prompt of {len(prompt)} and a reply of {len(reply.token_ids)} tokens exceed {limits.context}"
            )


def _check_ids(what: str, ids: Sequence[int], limits: Limits) -> None:
    if not ids:
        raise EngineRejected(f"the {what} is empty")
    if min(ids) < 0 or max(ids) >= limits.vocabulary:
        raise EngineRejected(f"the {what} has a token outside the vocabulary of {limits.vocabulary}")
