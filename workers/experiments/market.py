"""The market of the small figures: a reference model, advertisers who each want a word, and the law that is optimal."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from workers.experiments.enumerable import END, Bigram, Tokens, list_replies
from workers.mechanism.allocation import Floats

VOCABULARY = 7  # six words and the end token
MAX_TOKENS = 4
VALUES_MICROS_PER_NAT = (1_000, 700)  # one advertiser for each
TAU_MICROS_PER_NAT = 1_000
WISH_NATS = 2.0  # how much more an advertiser's model says its own word
HINT_NATS = 1.2  # how much more the context-aware model says each advertiser's word
TEXTURE_NATS = 0.8  # spread of the reference model's logits
OPINION_NATS = 0.25  # how the other models differ from it in all the rest

Proposal = Literal["context_aware", "reference"]
PROPOSALS: tuple[Proposal, ...] = ("context_aware", "reference")


@dataclass(frozen=True, slots=True)
class Market:
    """One query's models and what each of the R replies is worth."""

    reference: Bigram
    context_aware: Bigram
    replies: Tokens  # [R, L]
    log_ref: Floats  # [R] nats
    rewards: Floats  # [N, R] micros: value times (log πᵢ − log π_ref)
    tau: int  # micros per nat

    @property
    def log_target(self) -> Floats:
        """[R] log π*(y), π* ∝ π_ref·exp(Σ r/τ): what the mechanism's reply should be distributed like."""
        scores = self.log_ref + self.rewards.sum(axis=0) / self.tau
        return np.asarray(scores - np.logaddexp.reduce(scores))

    def log_proposal(self, proposal: Proposal) -> Floats:
        """[R] log-probability of each reply under the model that candidates are drawn from, at temperature 1."""
        return self.log_ref if proposal == "reference" else self.context_aware.log_probs(self.replies)


def make_market(seed: int) -> Market:
    """The market of this seed, the same on every call.

    Advertiser i's model is the reference model that likes word i + 1 better; the context-aware model has been told who
    bids, and likes all their words a little better.
    """
    rng = np.random.default_rng([seed, 0])
    logits = rng.normal(0.0, TEXTURE_NATS, (VOCABULARY, VOCABULARY))
    words = range(END + 1, END + 1 + len(VALUES_MICROS_PER_NAT))
    advertisers = [_told(logits, [word], WISH_NATS, rng) for word in words]
    reference, replies = Bigram.from_logits(logits), list_replies(VOCABULARY, MAX_TOKENS)
    log_ref = reference.log_probs(replies)
    ratios = np.array([model.log_probs(replies) - log_ref for model in advertisers])
    rewards = np.array(VALUES_MICROS_PER_NAT)[:, None] * ratios
    return Market(reference, _told(logits, words, HINT_NATS, rng), replies, log_ref, rewards, TAU_MICROS_PER_NAT)


def _told(logits: Floats, words: range | list[int], nats: float, rng: np.random.Generator) -> Bigram:
    changed = logits + rng.normal(0.0, OPINION_NATS, logits.shape)
    changed[:, list(words)] += nats
    return Bigram.from_logits(changed)


def total_variation(one: Floats, other: Floats) -> float:
    """½·Σ|p − q| between two laws [R], 0 to 1: the most by which they differ about any event."""
    return float(np.abs(one - other).sum() / 2)
