"""The paper's auction with this model: two advertisers, tau = 1, rewards r_i = log pi_i(y|x) - log pi_ref(y|x).

Candidates are drawn at temperature 1 without truncation from the context-aware
("con") or the reference ("ref") model.  All questions are about tasks that
training never sees; no name was seen in training.  Axes: M candidates, N = 2 advertisers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .grammar import has_name
from .names import compound_name
from .phrases import TASK_FRAMES
from .sampler import Files, Sampler
from .subjects import subjects
from .tables import Array
from .things import Thing
from .turns import Ad, advertiser_prompt, context_prompt, description

SIZES = (1, 2, 4, 10, 20)
BLOCK = 8  # auctions that share one sampler

#: Candidate source ("con", "ref") and M.
Key = tuple[str, int]
#: A question and its two advertisers.
Instance = tuple[str, list[Ad]]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Scores of the candidates of one auction, in nats."""

    ref: Array  # [M] log pi_ref
    proposal: Array  # [M] log-probability under the model they were drawn from
    rewards: Array  # [N, M]
    free: NDArray[np.bool_]  # [N, M] whether candidate j does not name advertiser i


@dataclass(frozen=True, slots=True)
class Outcome:
    """One advertiser in one auction, in nats."""

    payment: float
    payment_no_offset: float
    absolute: float  # expected reward minus payment
    free: float  # reward over the brand-free candidates among the M, weighted by pi_-i
    exact: float  # reward over all M candidates, weighted by pi_-i


@dataclass(frozen=True, slots=True)
class Settled:
    """One auction with one set of candidates."""

    log_target: float
    effective: float  # effective sample size of the weights
    named: float  # probability that the returned reply names an advertiser
    outcomes: list[Outcome]


@dataclass(frozen=True, slots=True)
class Run:
    """All that is kept of one auction."""

    query: str
    settled: dict[Key, Settled]
    proxy: float  # mean log pi_ref of reference replies
    mentions: float  # share of advertisers named by context-aware replies
    stray: float  # share of reference replies naming one of the two advertisers


def log_sum(values: Array) -> float:
    """Stable log of a sum of exponentials."""
    top = values.max()
    return float(top + np.log(np.exp(values - top).sum()))


def settle(cand: Candidates, size: int) -> Settled:
    """The auction over the first ``size`` candidates."""
    ref, rewards, free = cand.ref[:size], cand.rewards[:, :size], cand.free[:, :size]
    total = rewards.sum(0) + ref - cand.proposal[:size]
    law = np.exp(total - log_sum(total))
    return Settled(
        log_target=float(law @ (ref + rewards.sum(0))),
        effective=float(1 / (law @ law)),
        named=float(law @ ~free.all(0)),
        outcomes=[outcome(total, law, reward, own) for reward, own in zip(rewards, free, strict=True)],
    )


def outcome(total: Array, law: Array, reward: Array, free: NDArray[np.bool_]) -> Outcome:
    """What one advertiser gets and pays; ``total`` [M] log weights, ``law`` [M] their distribution."""
    without = total - reward
    law_without = np.exp(without - log_sum(without))
    earned, exact = float(law @ reward), float(law_without @ reward)
    payment = earned - log_sum(total) + log_sum(without)
    weights = law_without * free
    base = float(weights @ reward / weights.sum()) if weights.sum() > 0 else exact
    return Outcome(payment, earned - log_sum(total), earned - payment, earned - base, earned - exact)


def draw_candidates(
    sampler: Sampler, source: list[str], ref: list[str], advertisers: list[list[str]], ads: list[Ad]
) -> Candidates:
    """Candidates from ``source`` with every score the auction needs."""
    replies = sampler.replies(source, max(SIZES))
    log_ref = sampler.score(ref, replies)
    rewards = np.array([sampler.score(prompt, replies) - log_ref for prompt in advertisers])
    free = np.array([[not has_name(ad.name, sampler.text(reply)) for reply in replies] for ad in ads])
    proposal = log_ref if source is ref else sampler.score(source, replies)
    return Candidates(log_ref, proposal, rewards, free)


def _two_names(rng: random.Random) -> list[str]:
    names = [compound_name(rng, held=True) for _ in range(2)]
    while names[0][:4] == names[1][:4]:
        names[1] = compound_name(rng, held=True)
    return names


def instances(count: int, seed: int) -> list[Instance]:
    """Questions about tasks that training never sees, each for two pairs of advertisers of its subject."""
    rng = random.Random(seed)
    held = [Thing(task, True, one.name) for one in subjects().values() for task in one.held]
    frames = list(dict.fromkeys(TASK_FRAMES["how"]))
    made: list[Instance] = []
    for place in range(-(-count // 2)):
        about = held[place % len(held)]
        query = frames[(place // len(held) + place) % len(frames)].format(**about.slots)
        for _ in range(2):
            made.append((query, [Ad(name, description(rng, about.subject)) for name in _two_names(rng)]))
    return made[:count]


def run_auction(sampler: Sampler, query: str, ads: list[Ad]) -> Run:
    """One auction with candidates from either source and every M (nested)."""
    ref, con = sampler.prompt(query), sampler.prompt(context_prompt(ads, query))
    advertisers = [sampler.prompt(advertiser_prompt(ad, query)) for ad in ads]
    drawn = {
        name: draw_candidates(sampler, source, ref, advertisers, ads) for name, source in (("con", con), ("ref", ref))
    }
    return Run(
        query=query,
        settled={(name, size): settle(cand, size) for name, cand in drawn.items() for size in SIZES},
        proxy=float(drawn["ref"].ref.mean()),
        mentions=float(1 - drawn["con"].free.mean()),
        stray=float(1 - drawn["ref"].free.all(0).mean()),
    )


def run_block(files: Files, seed: int, block: int, cases: list[Instance]) -> list[Run]:
    """Some auctions with a fresh sampler, so that the result does not depend on the worker."""
    sampler = Sampler(files, seed * 100003 + block)
    return [run_auction(sampler, query, ads) for query, ads in cases]
