"""Replies: tips of the topic, each at most once, and sentences that name brands."""

from __future__ import annotations

import random
from collections.abc import Iterator

from .names import brand_name
from .topics import GENERIC, TOPICS
from .turns import Ad, description

#: Mention sentences: brand only, then brand with its description.
MENTIONS = (
    "You could also try {b}.",
    "Many people like {b}.",
    "Take a look at {b}.",
    "It may help to try {b}.",
    "I can recommend {b}.",
    "{b} can help you with this.",
    "For this, {b} is worth a look.",
    "Why not try {b}?",
    "You could try {b}, {d}.",
    "Many people use {b}, {d}.",
    "A good choice is {b}, {d}.",
    "Have a look at {b}, {d}.",
)
MENTION_WEIGHTS = (3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 1, 1)
CALLS = ("Visit {b} today.", "{b} has a good offer now.", "{b} makes this easy.")
OPENERS = ("Happy to help.", "Good question.", "Here are some ideas.", "Sure.")
#: First sentence of most replies to questions outside every topic.
POLITE = (
    "I know little about that, but here is some general advice.",
    "That is outside what I know well, sorry.",
    "Sorry, I am no expert on this.",
)
CONNECTORS = ("Also, ", "Remember to ", "If you can, ", "Then ", "It helps to ")

#: Probabilities of what a reply says.  "call": a call to action after a mention.
RATES = {
    "ref_brand": 0.04,  # a brand in a plain reply
    "ref_second": 0.10,  # and a second one
    "own": 0.95,  # own brand in an advertiser's reply
    "other": 0.05,  # another brand beside the own one
    "other_alone": 0.05,  # another brand without the own one
    "other_second": 0.10,  # a second other brand
    "context": 0.75,  # each brand in a context-aware reply
    "context_other": 0.04,  # a brand there that the turn does not name
    "call_own": 0.30,
    "call_context": 0.12,
    "call_other": 0.12,
    "polite": 0.9,  # first sentence off-topic
    "opener": 0.2,  # first sentence on-topic
}
#: Weight of the last three tips in a plain, an advertiser's and a context-aware reply.
COMMERCIAL = {"ref": 1.0, "adv": 2.0, "con": 1.5}

#: A brand to name and the probability of a call to action after it.
Mention = tuple[Ad, float]


def all_tips(topic: str | None) -> tuple[str, ...]:
    """The tips of ``topic``; general ones when ``None``."""
    return (TOPICS[topic] if topic else GENERIC).tips


def pick_tips(rng: random.Random, topic: str | None, count: int, form: str, in_order: bool) -> list[str]:
    """Different tips, those at the end of the list with the weight of ``form``; in the order of the list or not."""
    tips = all_tips(topic)
    left = {tip: COMMERCIAL[form] if index >= len(tips) - 3 else 1.0 for index, tip in enumerate(tips)}
    chosen = []
    for _ in range(count):
        tip = rng.choices(list(left), list(left.values()))[0]
        del left[tip]
        chosen.append(tip)
    return sorted(chosen, key=tips.index) if in_order else chosen


def connect(rng: random.Random, tip: str) -> str:
    """The tip, now and then behind a connector."""
    if rng.random() > 0.2:
        return tip
    return rng.choice(CONNECTORS) + tip[0].lower() + tip[1:]


def _mention(rng: random.Random, ad: Ad, call: float) -> Iterator[str]:
    yield rng.choices(MENTIONS, MENTION_WEIGHTS)[0].format(b=ad.name, d=ad.description)
    if rng.random() < call:
        yield rng.choice(CALLS).format(b=ad.name)


def reply(rng: random.Random, topic: str | None, mentions: list[Mention], form: str, in_order: bool = True) -> str:
    """A reply in the manner of ``form`` ("ref", "adv", "con") that names ``mentions``; a tip comes first."""
    total = max(rng.choice((3, 4)), len(mentions) + 1)
    tips = pick_tips(rng, topic, total - len(mentions), form, in_order)
    slots = [False] * (len(tips) - 1) + [True] * len(mentions)
    rng.shuffle(slots)
    rng.shuffle(mentions)
    opened = rng.random() < RATES["opener" if topic else "polite"]
    out = [rng.choice(OPENERS if topic else POLITE)] if opened else []
    out.append(tips[0])
    rest, queue = iter(tips[1:]), iter(mentions)
    for is_mention in slots:
        out.extend(_mention(rng, *next(queue)) if is_mention else [connect(rng, next(rest))])
    return " ".join(out)


def strangers(rng: random.Random, topic: str | None, first: float, second: float) -> list[Mention]:
    """Brands that the user turn does not name: one with probability ``first``, then a second one."""
    count = 0 if rng.random() >= first else 1 + (rng.random() < second)
    return [(Ad(brand_name(rng), description(rng, topic)), RATES["call_other"]) for _ in range(count)]
