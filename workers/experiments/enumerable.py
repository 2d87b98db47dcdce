"""A language model so small that all its replies can be listed: a bigram table over a few words and an end token."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workers.mechanism.allocation import Floats

Tokens: TypeAlias = NDArray[np.int64]

END = 0  # ends a reply; nothing comes after it
MOST_REPLIES = 1_000_000

#: Which log-probability of a sampled reply is written down as its log q; only the first is right (mechanism/README §7).
Logged = Literal["processed", "raw", "divided"]
LOGGED: tuple[Logged, ...] = ("processed", "raw", "divided")


@dataclass(frozen=True, slots=True)
class Decoding:
    """How the next token is drawn: temperature first, then top_k, then top_p, as the common engines do it."""

    temperature: float = 1.0
    top_p: float = 1.0  # the most probable tokens that together have at least this probability
    top_k: int = 0  # so many of the most probable tokens; 0 is no limit

    def __post_init__(self) -> None:
        if not (0 < self.temperature < np.inf and 0 < self.top_p <= 1 and self.top_k >= 0):
            raise ValueError(f"{self} needs temperature > 0, 0 < top_p <= 1 and top_k >= 0")

    @property
    def truncates(self) -> bool:
        """Whether some replies can no longer be drawn."""
        return self.top_p < 1 or self.top_k > 0


@dataclass(frozen=True, slots=True)
class Bigram:
    """A model whose next token depends on the one before: log_next [V, V] nats, each row a distribution.

    Row END is the start of a reply. −inf: this token never follows.
    """

    log_next: Floats

    @classmethod
    def from_logits(cls, logits: Floats) -> "Bigram":
        """The model with these logits [V, V], any real numbers."""
        return cls(_normalised(logits))

    def decoded(self, decoding: Decoding) -> "Bigram":
        """The model that is really sampled under `decoding`: its probabilities are the processed ones."""
        return Bigram(_truncated(_normalised(self.log_next / decoding.temperature), decoding))

    def log_probs(self, replies: Tokens) -> Floats:
        """[R] log-probability of each reply [R, L], nats: all its tokens, the end token too where there is one."""
        before = np.concatenate([np.full_like(replies[:, :1], END), replies[:, :-1]], axis=1)
        return np.asarray(np.where(_counted(replies), self.log_next[before, replies], 0.0).sum(axis=1))


@dataclass(frozen=True, slots=True)
class Draws:
    """Sampled replies and three claims about the log-probability each was sampled with, nats."""

    replies: Tokens  # [M, L]
    processed: Floats  # [M] under temperature and truncation: the density that produced them
    raw: Floats  # [M] under the model as it is
    divided: Floats  # [M] raw / temperature, as if the tempered model needed no normalising


def list_replies(vocabulary: int, max_tokens: int) -> Tokens:
    """[R, L] every reply of at most `max_tokens` tokens; finished ones are filled up with END.

    A reply that is cut after `max_tokens` words is an outcome of its own, not the beginning of others. The rows are
    in the order of `index_of`.
    """
    if vocabulary < 2 or max_tokens < 1 or vocabulary**max_tokens > MOST_REPLIES:
        raise ValueError(f"{vocabulary} tokens and replies of {max_tokens} cannot be listed")
    rows = np.indices((vocabulary,) * max_tokens).reshape(max_tokens, -1).T.astype(np.int64)
    word_after_end = (rows[:, :-1] == END) & (rows[:, 1:] != END)
    return np.asarray(rows[~word_after_end.any(axis=1)])


def index_of(drawn: Tokens, replies: Tokens, vocabulary: int) -> Tokens:
    """[M] the row in `replies` [R, L], as listed by `list_replies`, of each drawn reply [M, L]; it is there."""
    places = vocabulary ** np.arange(replies.shape[1] - 1, -1, -1)
    return np.asarray(np.searchsorted(replies @ places, drawn @ places))


def sample(model: Bigram, decoding: Decoding, count: int, max_tokens: int, rng: np.random.Generator) -> Draws:
    """`count` replies, i.i.d., token by token; what they were sampled with is added up on the way."""
    processed = model.decoded(decoding).log_next
    cumulated = np.cumsum(np.exp(processed), axis=1)
    replies = np.full((count, max_tokens), END)
    log_q, raw, before, alive = np.zeros(count), np.zeros(count), np.full(count, END), np.ones(count, bool)
    for position in range(max_tokens):
        token = np.where(alive, _next(cumulated[before], rng), END)
        log_q += np.where(alive, processed[before, token], 0.0)
        raw += np.where(alive, model.log_next[before, token], 0.0)
        replies[:, position] = before = token
        alive = alive & (token != END)
    return Draws(replies, log_q, raw, raw / decoding.temperature)


def _next(cumulated: Floats, rng: np.random.Generator) -> Tokens:
    """[M] a token for each row of `cumulated` [M, V]: the first above the uniform, so never an impossible one."""
    total = cumulated[:, -1]
    uniform = np.minimum(rng.random(len(total)) * total, np.nextafter(total, 0.0))
    return np.asarray((cumulated <= uniform[:, None]).sum(axis=1))


def _counted(replies: Tokens) -> NDArray[np.bool_]:
    """[R, L] True up to and including the first END; what is behind it only fills up the row."""
    ended = np.cumsum(replies == END, axis=1)
    return np.asarray(ended - (replies == END) == 0)


def _normalised(logits: Floats) -> Floats:
    top = logits.max(axis=1, keepdims=True)
    return np.asarray(logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True)))


def _truncated(log_next: Floats, decoding: Decoding) -> Floats:
    """Rows with improbable tokens at −inf, normalised again; of equally probable tokens the lower id stays longer."""
    if not decoding.truncates:
        return log_next
    rank = np.argsort(np.argsort(-log_next, axis=1, kind="stable"), axis=1)
    within_k = _normalised(np.where(rank < (decoding.top_k or log_next.shape[1]), log_next, -np.inf))
    if decoding.top_p == 1:
        return within_k
    descending = -np.sort(-np.exp(within_k), axis=1)
    reached_before = np.cumsum(descending, axis=1) - descending  # what the more probable ones have together
    kept = np.take_along_axis(reached_before, rank, axis=1) < decoding.top_p
    return _normalised(np.where(kept, within_k, -np.inf))
