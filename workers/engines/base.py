"""What an engine is: it draws replies with the exact log-probability each was drawn with, and scores given replies."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from schemas import auction
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
    calls: str = ""  # by which of the library's calls it draws and scores, for people

    def in_event(self) -> auction.Engine:
        """The model as events name it."""
        return auction.Engine(
            name=self.name,
            version=self.version,
            model_sha256=self.model_sha256,
            tokenizer_sha256=self.tokenizer_sha256,
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What the model can take: ids in [0, vocabulary), and prompt plus reply of at most `context` tokens.

    `vocabulary` is never less than what the tokenizer knows; it is more where the model pads it.
    """

    vocabulary: int
    context: int


class Scorer(Protocol):
    """A language model that says how probable replies are.

    * `encode` wraps a user's turn as the model expects it; the model's special tokens in the turn are plain text.
    * `log_probs` scores replies in the order given, duplicates included.
    * An empty, oversize or out-of-vocabulary prompt or reply raises EngineRejected. An engine that is
      down raises EngineUnavailable, and the call works when it is back; one that never comes back raises EngineGone,
      one that gives no answer in its own time EngineTimeout.
    """

    identity: Identity
    limits: Limits

    def encode(self, turn: str) -> Prompt:
        """The prompt's token ids. `turn`: what the user says, in the chat template's frame afterwards."""
        ...

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        """float64 [M] nats: log π(reply | prompt) of each of the M `replies`, summed over its token ids.

        `prompt`: token ids; of a reply only `token_ids` counts. Raises EngineError.
        """
        ...


class Engine(Scorer, Protocol):
    """A language model that also draws replies.

    Promises, with those of a Scorer each checked by tests/contracts/test_engines.py:

    * `sample` draws one reply for each seed, i.i.d. at temperature 1 from the untruncated distribution. The same call
      gives the same replies; with `seed_scope` "reply" each depends on its own seed only. A finished reply ends in the
      end token, which counts in `log_q`; one that is cut has exactly `max_tokens` ids and no end token.
    * `log_probs` of a reply, for the prompt it was drawn from, equals its `log_q` within 1e-3.
    * `adapter` is the same model with the LoRA weights of that name: another Scorer, on the same tokenizer, closed
      with the engine. SettingsError: the engine has none of that name.
    """

    seed_scope: SeedScope

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        """One reply for each of the `seeds` (63-bit integers), in their order, of at most `max_tokens` token ids each.

        Raises EngineError.
        """
        ...

    def adapter(self, name: str) -> Scorer:
        """The model with the LoRA weights `name`. SettingsError: the engine has none of that name."""
        ...

    async def close(self) -> None:
        """Free the model, or the connections to it."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """A model that places replies in a vector space: one pass for each reply, whoever asks.

    Rows stand in the order of the replies, duplicates included; a row depends on the prompt and its own reply only.
    What cannot be embedded raises as in a Scorer. An Engine may be one too.
    """

    identity: Identity
    limits: Limits
    dimensions: int

    def encode(self, turn: str) -> Prompt:
        """As in a Scorer."""
        ...

    async def embed(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        """float64 [M, D], D = `dimensions`: one row for each of the M `replies` behind `prompt`. EngineError."""
        ...

    async def close(self) -> None:
        """Free the model, or the connections to it."""
        ...


def derive_seed(key: bytes, auction_id: str, purpose: str, index: int) -> int:
    """A 63-bit seed for draw `index` of an auction; anything else in the arguments gives an unrelated seed."""
    return _seed(_seeds_of(key, auction_id, purpose), index)


def derive_seeds(key: bytes, auction_id: str, purpose: str, count: int) -> list[int]:
    """[count] the seeds of the draws 0 to count − 1, as `derive_seed` gives them."""
    draws = _seeds_of(key, auction_id, purpose)
    return [_seed(draws, index) for index in range(count)]


def _seeds_of(key: bytes, auction_id: str, purpose: str) -> blake2b:
    return blake2b(netstrings("seed-v1", auction_id, purpose), key=key[:MAX_KEY_BYTES], digest_size=8)


def _seed(draws: blake2b, index: int) -> int:
    one = draws.copy()
    one.update(netstrings(str(index)))
    return int.from_bytes(one.digest(), "big") >> (64 - SEED_BITS)


def check_sampling(prompt: Prompt, max_tokens: int, limits: Limits) -> None:
    """EngineRejected unless the `prompt` (token ids) is usable and leaves room for a reply of `max_tokens`."""
    _check_ids("prompt", prompt, limits)
    if max_tokens < 1 or len(prompt) + max_tokens > limits.context:
        raise EngineRejected(f"a prompt of {len(prompt)} and a reply of {max_tokens} tokens exceed {limits.context}")


def check_scoring(prompt: Prompt, replies: Sequence[Reply], limits: Limits) -> NDArray[np.int64]:
    """int64 [L]: the ids of all `replies`, one after the other; L is the sum of their lengths.

    EngineRejected unless each reply can be scored behind the `prompt` within the `limits`.
    """
    _check_ids("prompt", prompt, limits)
    rows = [reply.token_ids for reply in replies]
    lengths = list(map(len, rows))
    if 0 in lengths:
        raise EngineRejected("a reply is empty")
    longest = max(lengths, default=0)
    if len(prompt) + longest > limits.context:
        raise EngineRejected(f"a prompt of {len(prompt)} and a reply of {longest} tokens exceed {limits.context}")
    try:
        ids = np.fromiter(chain.from_iterable(rows), np.int64, sum(lengths))
    except OverflowError:  # a stranger's event may name any whole number
        raise _outside("reply", limits) from None
    if lengths and (np.minimum.reduce(ids) < 0 or np.maximum.reduce(ids) >= limits.vocabulary):
        raise _outside("reply", limits)
    return ids


def _check_ids(what: str, ids: Sequence[int], limits: Limits) -> None:
    if not ids:
        raise EngineRejected(f"the {what} is empty")
    if min(ids) < 0 or max(ids) >= limits.vocabulary:
        raise _outside(what, limits)


def _outside(what: str, limits: Limits) -> EngineRejected:
    return EngineRejected(f"the {what} has a token outside the vocabulary of {limits.vocabulary}")
