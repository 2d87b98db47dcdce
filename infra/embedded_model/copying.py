"""Whether replies spell brand names that training never saw."""

from __future__ import annotations

import random

import numpy as np

from .grammar import brands, has_name
from .held_out import HELD_OUT_NAMES
from .names import allowed, brand_name, compound_name
from .questions import task_question
from .sampler import Sampler
from .tables import cell, head, row
from .topics import GENERIC, TOPICS
from .turns import Ad, advertiser_prompt, context_prompt, description

REPLIES = 6
#: Shared letter pairs from which on a brand counts as a garbled form of the name.
GARBLED = 0.4
TITLES = (
    "names",
    "advertiser: exact name",
    "of own-name mentions",
    "of replies with any brand",
    "context-aware: exact name",
    "of own-name mentions",
    "rest of name after first letters: mean, median",
    "the same behind a tip",
)


def random_turn(rng: random.Random, name: str, form: str) -> str:
    """A turn for one advertiser with a training question."""
    topic = rng.choice(list(TOPICS))
    ad, query = Ad(name, description(rng, topic)), task_question(rng, TOPICS[topic])
    if form == "context-aware":
        return context_prompt([ad, Ad(brand_name(rng, held=True), description(rng, topic))], query)
    return advertiser_prompt(ad, query)


def similarity(left: str, right: str) -> float:
    """Shared pairs of letters (Dice coefficient)."""
    a, b = ({text.lower()[i : i + 2] for i in range(len(text) - 1)} for text in (left, right))
    return 2 * len(a & b) / max(1, len(a) + len(b))


def copy_rates(sampler: Sampler, names: list[str], rng: random.Random, form: str) -> tuple[str, str]:
    """Share of replies with the exact name, and share of name mentions that are exact.

    A mention counts as one of this name when it is exact, or when the reply
    names a brand that is not in the turn and shares letter pairs with the name.
    """
    exact, mentioned = [], []
    for name in names:
        turn = random_turn(rng, name, form)
        for text in sampler.answers(turn, REPLIES):
            hit = has_name(name, text)
            exact.append((name, hit))
            wrong = [brand for brand in brands(text) if not has_name(brand, turn)]
            if hit or max((similarity(brand, name) for brand in wrong), default=0.0) >= GARBLED:
                mentioned.append((name, hit))
    return _share(exact), _share(mentioned)


def any_brand_exact(sampler: Sampler, names: list[str], rng: random.Random) -> str:
    """Among advertiser replies with any brand sentence: share with the exact own name."""
    rows = []
    for name in names:
        texts = sampler.answers(random_turn(rng, name, "advertiser"), REPLIES)
        rows += [(name, has_name(name, text)) for text in texts if brands(text)]
    return _share(rows)


def _share(rows: list[tuple[str, bool]]) -> str:
    return cell([hit for _, hit in rows], [name for name, _ in rows], 3)


def copy_probability(sampler: Sampler, names: list[str], rng: random.Random, before: str = "") -> list[float]:
    """Probability of the rest of each name once its first token is out, in a sentence behind ``before``.

    No reply of the corpus names a brand in its first sentence, so only ``before`` = a tip is a case it has.
    """
    rest = []
    for name in names:
        start = sampler.prompt(random_turn(rng, name, "advertiser"))
        lead = sampler.tokenizer.encode(f"{before}Many people like", add_special_tokens=False).tokens
        body = sampler.tokenizer.encode(f" {name}.", add_special_tokens=False).tokens
        scores = sampler.generator.score_batch([start + lead + body])[0].log_probs[len(start + lead) - 1 :]
        first = 2 if body[0] == "Ġ" else 1  # a lone blank is no letter yet
        rest.append(float(np.exp(sum(scores[first:]))))
    return rest


def copying(sampler: Sampler, seed: int) -> None:
    """Print the table of copy accuracy and the weakest held-out names."""
    if made := [name for name in HELD_OUT_NAMES if allowed(name)]:
        raise SystemExit(f"the generator can produce {made}")
    rng = random.Random(seed)
    groups = {
        "held-out": list(HELD_OUT_NAMES),
        "compound": [compound_name(rng, held=True) for _ in range(80)],
        "any generated": [brand_name(rng, held=True) for _ in range(80)],
    }
    print(head(TITLES))
    weakest = ""
    for label, group in groups.items():
        rest = copy_probability(sampler, group, rng)
        advertiser, context = (copy_rates(sampler, group, rng, form) for form in ("advertiser", "context-aware"))
        strict = any_brand_exact(sampler, group, rng)
        behind = copy_probability(sampler, group, random.Random(seed), f"{GENERIC.tips[0]} ")
        summaries = [f"{np.mean(values):.3f}, {np.median(values):.3f}" for values in (rest, behind)]
        print(row([f"{len(group)} {label}", *advertiser, strict, *context, *summaries]), flush=True)
        ranked = sorted(zip(behind, group, strict=True))[:8]
        weakest = weakest or ", ".join(f"{name} {p:.2f}" for p, name in ranked)
    print("weakest held-out names (rest of name behind a tip):", weakest)
