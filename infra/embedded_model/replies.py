"""Replies: a sentence that answers the question, tips of its subject in their order, sentences that name brands."""

from __future__ import annotations

import random
from collections.abc import Iterator

from .phrases import (
    CALLS,
    ENDS,
    FIRST_LINKS,
    LAST_LINKS,
    LINKS,
    MENTIONS,
    MORE_MENTIONS,
    NOUN_LEADS,
    OUTSIDE_NOUN_LEADS,
    OUTSIDE_NOUN_TIPS,
    OUTSIDE_TASK_LEADS,
    OUTSIDE_TASK_TIPS,
    PLAIN_LEADS,
    TASK_LEADS,
)
from .questions import Question
from .subjects import subjects
from .things import Thing
from .turns import Ad

#: Probabilities of what a reply says.
RATES = {
    "lead": 0.65,  # a first sentence about the question's thing; always where it is of no subject
    "plain": 0.1,  # otherwise: a first sentence about nothing
    "end": 0.15,
    "linked": 0.45,  # a tip behind a word that ties it to the others
    "this": 0.5,  # outside the subjects: "this" in a tip instead of the thing
    "call": 0.2,  # a call to action behind a mention
}

#: An advertiser to name and the probability of a call to action after it.
Mention = tuple[Ad, float]


def lead(rng: random.Random, asked: Question) -> str | None:
    """The first sentence, or None."""
    about, slots = asked.thing, asked.thing.answered
    if about.subject is None:
        return rng.choice(OUTSIDE_TASK_LEADS if about.task else OUTSIDE_NOUN_LEADS).format(**slots)
    draw = rng.random()
    if draw < RATES["lead"]:
        return rng.choice((TASK_LEADS if about.task else NOUN_LEADS)[asked.kind]).format(**slots)
    return rng.choice(PLAIN_LEADS) if draw < RATES["lead"] + RATES["plain"] else None


def all_tips(about: Thing) -> tuple[str, ...]:
    """The tips that suit `about`, in their order; outside every subject still with slots."""
    if about.subject is None:
        return OUTSIDE_TASK_TIPS if about.task else OUTSIDE_NOUN_TIPS
    return subjects()[about.subject].tips


def pick_tips(rng: random.Random, about: Thing, count: int) -> list[str]:
    """Different tips in their order, as sentences, some behind a word that says which comes first, next and last."""
    tips = all_tips(about)
    places = sorted(rng.sample(range(len(tips)), count))
    return [_tied(rng, _filled(rng, tips[place], about), _links(places, place, len(tips))) for place in places]


def _filled(rng: random.Random, tip: str, about: Thing) -> str:
    slots = about.answered
    if "n" in slots and rng.random() < RATES["this"]:
        slots["n"] = "this"
    return tip.format(**slots)


def _links(places: list[int], place: int, tips: int) -> tuple[str, ...]:
    """What may stand before the tip at `place`: only an early one comes first, only a late one last."""
    if place == places[0]:
        return FIRST_LINKS if len(places) > 1 and place < tips // 3 else ()
    return LAST_LINKS if place == places[-1] and place >= tips // 2 else LINKS


def _tied(rng: random.Random, tip: str, links: tuple[str, ...]) -> str:
    if not links or rng.random() > RATES["linked"]:
        return f"{tip[0].upper()}{tip[1:]}."
    return f"{rng.choice(links)}{tip}."


def _mention(rng: random.Random, mention: Mention, more: bool) -> Iterator[str]:
    ad, call = mention
    yield rng.choice(MORE_MENTIONS if more else MENTIONS).format(b=ad.name, d=ad.description)
    if rng.random() < call:
        yield rng.choice(CALLS).format(b=ad.name)


def reply(rng: random.Random, asked: Question, mentions: list[Mention]) -> str:
    """A reply to `asked` that names `mentions`; a tip comes before the first of them."""
    count = max(1, rng.choice((2, 3, 3)) - len(mentions) // 2)
    tips = pick_tips(rng, asked.thing, count)
    first = lead(rng, asked)
    out = [*([first] if first else []), tips[0]]
    out += _between(rng, tips[1:], mentions)
    if rng.random() < RATES["end"]:
        out.append(rng.choice(ENDS).format(**asked.thing.answered))
    return " ".join(out)


def _between(rng: random.Random, tips: list[str], mentions: list[Mention]) -> Iterator[str]:
    """The other tips with the mentions as one block, in any order of brands, at a place drawn at random."""
    rng.shuffle(mentions)
    place = rng.randint(0, len(tips))
    yield from tips[:place]
    for number, mention in enumerate(mentions):
        yield from _mention(rng, mention, number > 0)
    yield from tips[place:]
