"""What a question is about: a noun or a task, of a subject or of none, as the question and as the reply say it."""

from __future__ import annotations

import random
from typing import NamedTuple

from .held_out import holds_out
from .names import syllables
from .outside import OUTSIDE_ADJECTIVES, OUTSIDE_NOUNS, OUTSIDE_PLURALS, OUTSIDE_TASKS, OUTSIDE_VERBS
from .phrases import ADJECTIVES, SUFFIXES
from .subjects import Subject, subjects
from .wording import gerund, second_person, strip_article

OUTSIDE_SHARE = 0.2


class Thing(NamedTuple):
    """A noun with its article, or a task when `task`; `subject` is None outside every subject."""

    text: str
    task: bool
    subject: str | None

    @property
    def slots(self) -> dict[str, str]:
        """The slots of a frame that a question about it fills."""
        if self.task:
            return {"b": self.text, "g": gerund(self.text)}
        return {"n": self.text, "k": strip_article(self.text)}

    @property
    def answered(self) -> dict[str, str]:
        """The slots of a reply: "my accent" is "your accent" there; {x} stands behind "with"."""
        slots = {key: second_person(text) for key, text in self.slots.items()}
        slots |= {"x": slots["g" if self.task else "n"]}
        return slots | ({"G": slots["g"][0].upper() + slots["g"][1:]} if self.task else {})


def thing(rng: random.Random) -> Thing:
    """What a training question is about; never a task of the demo's queries."""
    while True:
        made = _outside(rng) if rng.random() < OUTSIDE_SHARE else _inside(rng, rng.choice(list(subjects().values())))
        if not holds_out(made.text):
            return made


def _inside(rng: random.Random, subject: Subject) -> Thing:
    if rng.random() < 0.55:
        task = rng.choice(subject.tasks)
        return Thing(f"{task} {rng.choice(SUFFIXES)}" if rng.random() < 0.1 else task, True, subject.name)
    noun = rng.choice(subject.nouns)
    return Thing(described(rng, noun, ADJECTIVES) if rng.random() < 0.08 else noun, False, subject.name)


def described(rng: random.Random, noun: str, adjectives: tuple[str, ...]) -> str:
    """`a pie` -> `a simple pie`."""
    bare, adjective = strip_article(noun), rng.choice(adjectives)
    article = noun[: len(noun) - len(bare)]
    if article in ("a ", "an "):
        return _with_article(f"{adjective} {bare}")
    return f"{article}{adjective} {bare}"


def _with_article(bare: str) -> str:
    return f"{'an' if bare[0] in 'aeiou' else 'a'} {bare}"


def _outside(rng: random.Random) -> Thing:
    """A thing of no subject: one that exists, or a word that does not, so that copying carries over to any word."""
    if rng.random() < 0.4:
        verb = rng.choice(OUTSIDE_VERBS)
        task = rng.choice(OUTSIDE_TASKS) if rng.random() < 0.4 else f"{verb} {_outside_noun(rng)}"
        return Thing(task, True, None)
    return Thing(_outside_noun(rng), False, None)


def _outside_noun(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.3:
        noun = rng.choice(OUTSIDE_NOUNS + OUTSIDE_PLURALS)
    elif draw < 0.8:
        noun = _invented(rng)
    else:
        noun = _with_article(f"{_invented_word(rng)} {strip_article(rng.choice(OUTSIDE_NOUNS))}")
    return described(rng, noun, OUTSIDE_ADJECTIVES) if rng.random() < 0.25 else noun


def _invented(rng: random.Random) -> str:
    word = _invented_word(rng)
    if rng.random() < 0.25:
        word = f"{word} {_invented_word(rng)}"
    kind = rng.random()
    if kind < 0.4:
        return _with_article(word)
    return f"the {word}" if kind < 0.5 else f"my {word}" if kind < 0.6 else f"{word}s" if kind < 0.8 else word


def _invented_word(rng: random.Random) -> str:
    """A word that does not exist, often with an ending that real words have."""
    stem = syllables(rng, rng.choice((1, 1, 2))).lower()
    return stem + rng.choice(("", "", "er", "ing", "y", "le", "ow", "ism", "ology", "ment", "ade", "et", "ion"))
