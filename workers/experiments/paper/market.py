"""All auctions of an evaluation as arrays, and what each is worth with the first M of its candidates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workers.experiments.paper.instances import Instance
from workers.experiments.paper.sampling import Samples
from workers.mechanism.allocation import Allocation, Floats, Numbers
from workers.mechanism.payments import no_offset, offset

TAU = 1.0  # the paper's; rewards are in nats

Names: TypeAlias = NDArray[np.bool_]  # [N, M] whether a candidate names an advertiser's brand
Measure: TypeAlias = Callable[[Numbers, Names], Any]  # an array-like of numbers


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """What came out of Q·S auctions with the first M candidates each; nats. Expectations are over the drawn reply.

    The normalised reward is what the advertiser gets less what it would get without taking part. Footnote 5 of the
    paper estimates the second on the candidates that do not name its brand: `reward` weighs these by π₋ᵢ,
    `reward_plain` alike; where all candidates name it, both fall back to π₋ᵢ on all (`fell_back`). `reward_exact` is
    π₋ᵢ on the same candidates, which is what the theorems are about.
    """

    log_target: Floats  # [Q, S] log π_ref + Σ r of the returned reply, the optimal law's logarithm but for a constant
    reward: Floats  # [Q, S, N]
    reward_plain: Floats  # [Q, S, N]
    reward_exact: Floats  # [Q, S, N]
    price: Floats  # [Q, S, N] with the offset: what is billed
    price_no_offset: Floats  # [Q, S, N]
    effective: Floats  # [Q, S] effective sample size over M
    fell_back: NDArray[np.bool_]  # [Q, S, N]


@dataclass(slots=True, eq=False)
class Auctions:
    """One proposal's auctions. `at` gives the estimates of the first M candidates, computed once."""

    log_q: Floats  # [Q, S, M]
    log_ref: Floats  # [Q, S, M]
    log_context: Floats  # [Q, S, M] under the context-aware model
    rewards: Floats  # [Q, S, N, M] nats
    names: NDArray[np.bool_]  # [Q, S, N, M] whether the reply names the advertiser's brand
    questions: tuple[str, ...] = ()  # [Q]
    texts: NDArray[Any] = field(default_factory=lambda: np.empty((0, 0, 0), dtype=object))  # [Q, S, M] str
    _known: dict[int, Estimates] = field(default_factory=dict)

    def at(self, candidates: int) -> Estimates:
        """With the first `candidates` of each auction. ValueError: fewer were drawn."""
        if not 1 <= candidates <= self.log_q.shape[2]:
            raise ValueError(f"{candidates} candidates of {self.log_q.shape[2]}")
        if candidates not in self._known:
            self._known[candidates] = self._estimate(candidates)
        return self._known[candidates]

    def numbers(self, query: int, seed: int, candidates: int) -> Numbers:
        """The auction of one query and seed as the mechanism takes it."""
        m = slice(candidates)
        return Numbers(self.log_q[query, seed, m], self.log_ref[query, seed, m], self.rewards[query, seed, :, m], TAU)

    def measure(self, candidates: int, of: Measure) -> Floats:
        """[Q, S, ...] `of` each auction's first `candidates`, and which of them name whom [N, M]."""
        queries, seeds, _ = self.log_q.shape
        rows = [
            [
                of(self.numbers(query, seed, candidates), self.names[query, seed, :, :candidates])
                for seed in range(seeds)
            ]
            for query in range(queries)
        ]
        return np.array(rows)

    def _estimate(self, candidates: int) -> Estimates:
        queries, seeds, _ = self.log_q.shape
        rows = [
            _one(self.numbers(query, seed, candidates), self.names[query, seed, :, :candidates])
            for query in range(queries)
            for seed in range(seeds)
        ]
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        return Estimates(*(column.reshape(queries, seeds, *column.shape[1:]) for column in columns))


def as_auctions(instances: Sequence[Instance], samples: Sequence[Sequence[Samples]]) -> Auctions:
    """The arrays of `samples` [Q][S]; every instance has equally many advertisers and seeds."""
    flat = [(instance, one) for instance, row in zip(instances, samples, strict=True) for one in row]
    shape = (len(samples), len(samples[0]))
    return Auctions(
        _stacked([one.log_q for _, one in flat], shape),
        _stacked([one.log_ref for _, one in flat], shape),
        _stacked([one.log_context for _, one in flat], shape),
        _stacked([one.log_own - one.log_ref for _, one in flat], shape),
        _stacked([_names(instance, one.texts) for instance, one in flat], shape),
        tuple(instance.question for instance in instances),
        _stacked([np.array(one.texts, dtype=object) for _, one in flat], shape),
    )


def _stacked(rows: Sequence[NDArray[Any]], shape: tuple[int, int]) -> NDArray[Any]:
    """[Q, S, ...] of Q·S equal arrays, query by query."""
    stacked = np.array(rows)
    return stacked.reshape(*shape, *stacked.shape[1:])


def divergence(numbers: Numbers, allocation: Allocation) -> float:
    """KL(π ‖ π without any bid), nats: how far all bids together move the reply from the reference model's."""
    return kl(allocation, replace(numbers, rewards=numbers.rewards[:0]).solve())


def kl(one: Allocation, other: Allocation) -> float:
    """KL(one ‖ other) over the candidates, nats; `other` is positive on all of them."""
    likely = one.pi > 0
    return float(one.pi[likely] @ (one.log_pi[likely] - other.log_pi[likely]))


def _names(instance: Instance, texts: Sequence[str]) -> NDArray[np.bool_]:
    """[N, M] whether a reply names the brand, in whatever case."""
    lowered = [text.lower() for text in texts]
    return np.array([[one.name.lower() in text for text in lowered] for one in instance.advertisers])


def _one(numbers: Numbers, names: NDArray[np.bool_]) -> tuple[object, ...]:
    """In the order of Estimates."""
    allocation = numbers.solve()
    with_it = numbers.rewards @ allocation.pi
    weighted, plain, exact = _baselines(numbers.rewards, allocation, names)
    log_target = allocation.pi @ (numbers.log_ref + numbers.rewards.sum(axis=0))
    prices = offset(numbers, allocation, 0), no_offset(numbers, allocation, 0)
    effective = allocation.effective_sample_size / len(numbers.log_q)
    return log_target, with_it - weighted, with_it - plain, with_it - exact, *prices, effective, names.all(axis=1)


def _baselines(rewards: Floats, allocation: Allocation, names: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """[N] each: the reward of not taking part, by footnote 5 weighed by π₋ᵢ, weighed alike, and on all candidates."""
    fell_back = np.logical_and.reduce(names, axis=1, keepdims=True)
    usable = fell_back | ~names  # footnote 5
    exact = _weighed(allocation.log_pi_without, rewards)
    weighted = _weighed(np.where(usable, allocation.log_pi_without, -np.inf), rewards)
    plain = _weighed(np.where(usable, 0.0, -np.inf), rewards)
    return weighted, np.where(fell_back[:, 0], exact, plain), exact


def _weighed(log_weights: Floats, rewards: Floats) -> Floats:
    """[N] means of the rewards [N, M] under weights that need not sum to 1; each row has a finite one."""
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    means: Floats = (weights * rewards).sum(axis=1) / weights.sum(axis=1)
    return means
