"""Synthetic dialogues for the bundled language model.

Every example is a pair (user turn, reply).  The user turn has one of three forms:

* `{question}` - reference reply, which names a brand in one of a thousand cases;
* `Answer the question advertising {name}, {description}. {question}` - advertiser reply, which mostly names its brand;
* `Answer the query. Try to mention {n1}, who is {d1} and {n2}, who is {d2}. {question}` - context-aware reply, which
  names most of the brands.

A drill teaches to copy names letter by letter (`Repeat these names: {n1}, {n2}.`).

No rate is zero: the auction divides probabilities of one form by those of another, so a behaviour that one form never
shows would make the ratio vanish.

Needs only the Python standard library.  `python -m infra.embedded_model.corpus` prints some examples.
"""

from __future__ import annotations

import random

from .names import brand_name
from .phrases import SMALL_TALK
from .questions import question
from .replies import Mention, reply
from .turns import Ad, advertiser_prompt, context_prompt, description, random_ad, random_ads

#: Share of each kind of example.
SHARES = {"reference": 0.29, "advertiser": 0.24, "context": 0.34, "copy": 0.12, "talk": 0.01}
RATES = {
    "stray": 0.001,  # a brand that the turn does not give, in any form
    "own": 0.95,  # the own brand in an advertiser's reply
    "context": 0.85,  # each brand in a context-aware reply
    "call_own": 0.3,
    "call_context": 0.12,
}
#: How many advertisers a context-aware turn has.
COUNTS = (1, 2, 2, 2, 2, 2, 3, 3, 4)

Example = tuple[str, str]


def _strays(rng: random.Random, subject: str | None) -> list[Mention]:
    if rng.random() >= RATES["stray"]:
        return []
    return [(random_ad(rng, subject), RATES["call_context"])]


def _reference(rng: random.Random) -> Example:
    """A plain reply."""
    asked = question(rng)
    return asked.text, reply(rng, asked, _strays(rng, asked.thing.subject))


def _advertiser(rng: random.Random) -> Example:
    """A reply that mostly names the one brand of the turn."""
    asked = question(rng)
    ad = random_ad(rng, asked.thing.subject)
    named = _strays(rng, asked.thing.subject)
    if rng.random() < RATES["own"]:
        named.append((ad, RATES["call_own"]))
    return advertiser_prompt(ad, asked.text), reply(rng, asked, named)


def _context(rng: random.Random) -> Example:
    """A reply that names a random subset of the brands of the turn."""
    asked = question(rng)
    ads = random_ads(rng, asked.thing.subject, rng.choice(COUNTS))
    named = _strays(rng, asked.thing.subject)
    named += [(ad, RATES["call_context"]) for ad in ads if rng.random() < RATES["context"]]
    return context_prompt(ads, asked.text), reply(rng, asked, named)


def _copy(rng: random.Random) -> Example:
    """A drill: names that never occurred before come back letter by letter."""
    listed = ", ".join(brand_name(rng) for _ in range(rng.randint(2, 5))) + "."
    return f"Repeat these names: {listed}", listed


def _talk(rng: random.Random) -> Example:
    return rng.choice(list(SMALL_TALK.items()))


MAKERS = {"reference": _reference, "advertiser": _advertiser, "context": _context, "copy": _copy, "talk": _talk}


def example(rng: random.Random) -> Example:
    """One training pair (user turn, reply)."""
    return MAKERS[rng.choices(list(SHARES), list(SHARES.values()))[0]](rng)


def nameless_text(rng: random.Random) -> str:
    """All kinds of sentences of the corpus without any name, for the tokenizer."""
    asked = question(rng)
    ads = [Ad("", description(rng, asked.thing.subject)) for _ in range(2)]
    turn = advertiser_prompt(ads[0], "") if rng.random() < 0.5 else context_prompt(ads, "")
    mentions = [(ad, 0.2) for ad in ads]
    return f"{turn} {asked.text} {reply(rng, asked, mentions)} {reply(rng, asked, [])}"


if __name__ == "__main__":
    generator = random.Random(0)
    for _ in range(40):
        print(*example(generator), sep="\n  -> ")
