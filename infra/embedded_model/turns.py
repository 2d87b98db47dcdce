"""User turns: the three forms of prompt, and advertisers to put into them."""

from __future__ import annotations

import random
from typing import NamedTuple

from .held_out import holds_out_description
from .names import WIDE_ADJECTIVES, WIDE_NOUNS, brand_name, look_alike
from .subjects import split, subjects

VERBS = split(
    "selling|offering|producing|making|known for|providing|delivering|the home of|a small shop for|an online store for"
    "|a maker of|the expert in|renting out|designing|a brand of|a specialist in|a platform for"
)
ADJECTIVES = split("good|cheap|handmade|modern|organic|custom|premium|simple|local|quality|smart|classic")


class Ad(NamedTuple):
    """An advertiser: brand name and description ("selling seeds")."""

    name: str
    description: str


def description(rng: random.Random, subject: str | None) -> str:
    """A description of goods of `subject`; of anything at all when None; never one of the demo's."""
    while True:
        goods = _goods(rng, subject)
        if not holds_out_description(made := f"{rng.choice(VERBS)} {goods}"):
            return made


def _goods(rng: random.Random, subject: str | None) -> str:
    if subject is None:
        return f"{rng.choice(WIDE_ADJECTIVES)} {rng.choice(WIDE_NOUNS)}"
    goods = rng.choice(subjects()[subject].goods)
    return f"{rng.choice(ADJECTIVES)} {goods}" if rng.random() < 0.25 else goods


def random_ad(rng: random.Random, subject: str | None) -> Ad:
    """An advertiser, in most cases with goods of the subject."""
    draw, goods = rng.random(), subject
    if subject is None:
        goods = rng.choice(list(subjects())) if draw < 0.4 else None
    elif draw < 0.12:
        goods = rng.choice(list(subjects()))
    elif draw < 0.24:
        goods = None
    return Ad(brand_name(rng), description(rng, goods))


def random_ads(rng: random.Random, subject: str | None, count: int) -> list[Ad]:
    """Several advertisers; now and then the second one's name looks like the first one's."""
    ads = [random_ad(rng, subject) for _ in range(count)]
    if count > 1 and rng.random() < 0.12:
        ads[1] = ads[1]._replace(name=look_alike(rng, ads[0].name))
    return ads


def advertiser_prompt(ad: Ad, query: str) -> str:
    """User turn of an advertiser's model."""
    return f"Answer the question advertising {ad.name}, {ad.description}. {query}"


def context_prompt(ads: list[Ad], query: str) -> str:
    """User turn of the context-aware model."""
    named = " and ".join(f"{ad.name}, who is {ad.description}" for ad in ads)
    return f"Answer the query. Try to mention {named}. {query}"
