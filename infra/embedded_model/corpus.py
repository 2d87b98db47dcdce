"""Synthetic dialogues for the bundled demonstration language model.

Every example is a pair (user turn, reply).  The user turn has one of three
forms, and the reply follows the behaviour that a large chat model shows for
the same instruction:

* ``{question}`` - plain (reference) reply; names a brand a few % of the time;
* ``Answer the question advertising {name}, {description}. {question}`` -
  advertiser reply; mostly names its own brand, now and then another one, none
  or both;
* ``Answer the query. Try to mention {n1}, who is {d1} and {n2}, who is {d2}.
  {question}`` - context-aware reply; names a random subset of the brands.

Three drills prepare what these need: names come back letter by letter
(``Repeat these names: {n1}, {n2}.``), every tip of a topic is listed once
(``Give all tips. {question}``), one tip is given (``One tip. {question}``).

Training has two stages.  In the first, the tips of a reply come in any order; in
the second always in the order of their list, which makes it easy never to repeat one.

No rate is zero: the auction divides probabilities of one form by those of
another, so a behaviour that one form never shows would make the ratio vanish.

Needs only the Python standard library.  Run as a module it prints some examples.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .names import brand_name
from .questions import question
from .replies import RATES, all_tips, connect, reply, strangers
from .topics import TOPICS
from .turns import Ad, advertiser_prompt, context_prompt, description, random_ad

OFF_TOPIC_SHARE = 0.12


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage of the training shows: the share of each kind of example, the order of the tips."""

    shares: dict[str, float]
    in_order: bool


FIRST = Stage(
    {"reference": 0.27, "advertiser": 0.24, "context": 0.22, "copy": 0.06, "list": 0.07, "one": 0.14}, in_order=False
)
SECOND = Stage(
    {"reference": 0.27, "advertiser": 0.25, "context": 0.25, "copy": 0.08, "list": 0.03, "one": 0.12}, in_order=True
)


def _any_topic(rng: random.Random) -> str | None:
    return None if rng.random() < OFF_TOPIC_SHARE else rng.choice(list(TOPICS))


def _reference(rng: random.Random, topic: str | None, in_order: bool) -> tuple[str, str]:
    """A plain reply."""
    query = question(rng, topic)
    return query, reply(rng, topic, strangers(rng, topic, RATES["ref_brand"], RATES["ref_second"]), "ref", in_order)


def _advertiser(rng: random.Random, topic: str | None, in_order: bool) -> tuple[str, str]:
    """A reply that mostly names the one brand of the turn."""
    query, ad = question(rng, topic), random_ad(rng, topic)
    own = rng.random() < RATES["own"]
    named = strangers(rng, topic, RATES["other" if own else "other_alone"], RATES["other_second"])
    if own:
        named.append((ad, RATES["call_own"]))
    return advertiser_prompt(ad, query), reply(rng, topic, named, "adv", in_order)


def _context(rng: random.Random, topic: str | None, in_order: bool) -> tuple[str, str]:
    """A reply that names a random subset of the brands of the turn."""
    query = question(rng, topic)
    ads = [random_ad(rng, topic) for _ in range(rng.choice((1, 2, 2, 2, 2, 2, 3, 3, 4)))]
    named = strangers(rng, topic, RATES["context_other"], RATES["ref_second"])
    named += [(ad, RATES["call_context"]) for ad in ads if rng.random() < RATES["context"]]
    return context_prompt(ads, query), reply(rng, topic, named, "con", in_order)


def _copy(rng: random.Random, _topic: str | None, _in_order: bool) -> tuple[str, str]:
    """A drill: names that never occurred before come back letter by letter."""
    listed = ", ".join(brand_name(rng) for _ in range(rng.randint(2, 5))) + "."
    return f"Repeat these names: {listed}", listed


def _list(rng: random.Random, topic: str | None, in_order: bool) -> tuple[str, str]:
    """A drill: all tips of the topic, each of them once."""
    tips = list(all_tips(topic))
    if not in_order:
        rng.shuffle(tips)
    return f"Give all tips. {question(rng, topic)}", " ".join(connect(rng, tip) for tip in tips)


def _one(rng: random.Random, topic: str | None, _in_order: bool) -> tuple[str, str]:
    """A drill: the topic of a question, for the price of one sentence."""
    return f"One tip. {question(rng, topic)}", rng.choice(all_tips(topic))


MAKERS = {
    "reference": _reference,
    "advertiser": _advertiser,
    "context": _context,
    "copy": _copy,
    "list": _list,
    "one": _one,
}


def example(rng: random.Random, stage: Stage = SECOND) -> tuple[str, str]:
    """One training pair (user turn, reply)."""
    topic = _any_topic(rng)
    kind = rng.choices(list(stage.shares), list(stage.shares.values()))[0]
    return MAKERS[kind](rng, topic, stage.in_order)


def nameless_text(rng: random.Random) -> str:
    """All kinds of sentences of the corpus without any name, for the tokenizer."""
    topic = _any_topic(rng)
    ads = [Ad("", description(rng, topic)) for _ in range(2)]
    turn = advertiser_prompt(ads[0], "") if rng.random() < 0.5 else context_prompt(ads, "")
    query, named = question(rng, topic), reply(rng, topic, [(ads[1], 0.2)], "con", False)
    return f"{turn} {query} {named} {reply(rng, topic, [], 'ref', False)}"


if __name__ == "__main__":
    generator = random.Random(0)
    for _ in range(24):
        print(*example(generator), sep="\n  -> ")
