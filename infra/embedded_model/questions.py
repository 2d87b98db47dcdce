"""Questions: a thing in a frame, as people type them."""

from __future__ import annotations

import random
from typing import NamedTuple

from .held_out import holds_out
from .phrases import CLOSINGS, GREETINGS, NOUN_FRAMES, TASK_FRAMES
from .things import Thing, thing

#: How often each kind of question is asked.
TASK_KINDS = {"how": 0.6, "need": 0.1, "want": 0.2, "trouble": 0.1}
NOUN_KINDS = {"about": 0.8, "problem": 0.2}


class Question(NamedTuple):
    """The text, what it is about, and what its frame asks: a key of TASK_LEADS or NOUN_LEADS."""

    text: str
    thing: Thing
    kind: str


def ask(rng: random.Random, about: Thing) -> Question:
    """A question about `about`."""
    kinds, frames = (TASK_KINDS, TASK_FRAMES) if about.task else (NOUN_KINDS, NOUN_FRAMES)
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    text = rng.choice(frames[kind]).format(**about.slots)
    return Question(_sentence(text), about, kind)


def question(rng: random.Random) -> Question:
    """A training question; none that contains a task of the demo's queries."""
    while True:
        made = ask(rng, thing(rng))
        if not holds_out(made.text):
            return made._replace(text=_typed(rng, made.text))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] if text.endswith(("?", ".", "!")) else text


def _typed(rng: random.Random, text: str) -> str:
    """Greetings, closings, a missing capital or full stop."""
    draw = rng.random()
    if draw < 0.06:
        text = rng.choice(GREETINGS) + text
    elif draw < 0.10:
        text += rng.choice(CLOSINGS)
    draw = rng.random()
    if draw < 0.08:
        return text[0].lower() + text[1:].rstrip("?.")
    return text.rstrip("?.") if draw < 0.14 else text
