"""User turns: the three forms of prompt, and advertisers to put into them."""

from __future__ import annotations

import random
from typing import NamedTuple

from .names import WIDE_ADJECTIVES, WIDE_NOUNS, brand_name
from .topics import TOPICS, split

VERBS = split(
    "selling|offering|producing|making|known for|providing|delivering|the home of|a small shop for|an online store for"
    "|a maker of|the expert in|renting out|designing|a brand of|specialists in|a platform for"
)
ADJECTIVES = split("good|cheap|handmade|modern|organic|custom|premium|simple|local|quality|smart|classic")


class Ad(NamedTuple):
    """An advertiser: brand name and description ("selling seeds")."""

    name: str
    description: str


def description(rng: random.Random, topic: str | None) -> str:
    """A description of goods of ``topic``; of anything at all when ``None``."""
    if topic is None:
        goods = f"{rng.choice(WIDE_ADJECTIVES)} {rng.choice(WIDE_NOUNS)}"
    else:
        goods = rng.choice(TOPICS[topic].goods)
        if rng.random() < 0.25:
            goods = f"{rng.choice(ADJECTIVES)} {goods}"
    return f"{rng.choice(VERBS)} {goods}"


def random_ad(rng: random.Random, topic: str | None) -> Ad:
    """An advertiser, in most cases with goods of the topic."""
    draw, goods = rng.random(), topic
    if topic is None:
        goods = rng.choice(list(TOPICS)) if draw < 0.4 else None
    elif draw < 0.12:
        goods = rng.choice(list(TOPICS))
    elif draw < 0.27:
        goods = None
    return Ad(brand_name(rng), description(rng, goods))


def advertiser_prompt(ad: Ad, query: str) -> str:
    """User turn of an advertiser's model."""
    return f"Answer the question advertising {ad.name}, {ad.description}. {query}"


def context_prompt(ads: list[Ad], query: str) -> str:
    """User turn of the context-aware model."""
    named = " and ".join(f"{ad.name}, who is {ad.description}" for ad in ads)
    return f"Answer the query. Try to mention {named}. {query}"
