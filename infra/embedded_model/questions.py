"""Questions: a task phrase ("bake cookies") or a noun ("pizza") of a topic in a question frame.

The last tasks and nouns of each topic and the frames called ``HELD_`` are held
out, and so is a fixed twelfth of the nouns in ``nouns.py``: training never sees them.
"""

from __future__ import annotations

import random
import re
import zlib

from .frames import (
    CLOSINGS,
    GREETINGS,
    HEADS,
    HELD_NOUN_FRAMES,
    HELD_TASK_FRAMES,
    MORE_NOUN_FRAMES,
    MORE_OFF_NOUNS,
    MORE_OFF_TASKS,
    MORE_TASK_FRAMES,
    NOUN_FRAMES,
    OFF_FRAMES,
    OFF_NOUNS,
    QUALITIES,
    SUFFIXES_OF_TASK,
    TASK_FRAMES,
    VERB_PHRASES,
)
from .names import LETTERS, WIDE_ADJECTIVES, syllables
from .nouns import MORE_NOUNS
from .topics import GENERIC, TOPICS, Topic

#: How many task phrases and nouns at the end of each list are never trained on.
HELD_TASKS, HELD_NOUNS = 3, 2
#: Verbs whose last letter is doubled before "ing".
DOUBLED = set("get run plan set chop stop put cut swim jog unclog sit win quit knit trim shop prep skip wrap".split())


# --- pieces, and what is held out
def strip_article(noun: str) -> str:
    """``a laptop`` -> ``laptop``."""
    return re.sub(r"^(?:a|an|the|my) ", "", noun)


def gerund(task: str) -> str:
    """``bake cookies`` -> ``baking cookies``."""
    verb, _, rest = task.partition(" ")
    if verb in DOUBLED:
        verb += verb[-1]
    elif verb.endswith("e") and not verb.endswith(("ee", "ye", "oe")):
        verb = verb[:-1]
    return f"{verb}ing {rest}".strip()


def _held(items: tuple[str, ...], count: int, held: bool) -> tuple[str, ...]:
    """The last ``count`` items, or all others."""
    return items[-count:] if held else items[:-count]


def reserved_noun(noun: str) -> bool:
    """Whether training never uses this noun of ``nouns.py``: a fixed twelfth."""
    return zlib.crc32(noun.encode()) % 12 == 0


def _trained_nouns(topic: str, content: Topic) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return content.nouns[:-HELD_NOUNS], tuple(noun for noun in MORE_NOUNS[topic] if not reserved_noun(noun))


#: Nouns of each topic that training uses: of ``topics.py`` and of ``nouns.py``.
TRAINING_NOUNS = {topic: _trained_nouns(topic, content) for topic, content in TOPICS.items()}
GENERIC_NOUNS = (GENERIC.nouns[:-HELD_NOUNS], MORE_OFF_NOUNS)


# --- questions of the evaluation
def task_question(rng: random.Random, content: Topic, held_task: bool = False, held_frame: bool = False) -> str:
    """A task phrase in a frame; either may be a held-out one."""
    task = rng.choice(_held(content.tasks, HELD_TASKS, held_task))
    if not held_task and rng.random() < 0.15:
        words = task.split()
        words.insert(-1, rng.choice(WIDE_ADJECTIVES))
        task = " ".join(words)
    if not held_task and rng.random() < 0.12:
        task += " " + rng.choice(SUFFIXES_OF_TASK)
    return _framed_task(rng.choice(HELD_TASK_FRAMES if held_frame else TASK_FRAMES), task)


def _framed_task(frame: str, task: str) -> str:
    text = frame.format(b=task, g=gerund(task))
    return text[0].upper() + text[1:] if text.endswith("?") else text


def noun_question(rng: random.Random, content: Topic, held_noun: bool = False, held_frame: bool = False) -> str:
    """A noun of ``topics.py`` in a frame; either may be a held-out one."""
    noun = rng.choice(_held(content.nouns, HELD_NOUNS, held_noun))
    other = strip_article(rng.choice(content.nouns[:-HELD_NOUNS]))
    if held_noun:
        other = "something else"
    frame = rng.choice(HELD_NOUN_FRAMES if held_frame else NOUN_FRAMES)
    return frame.format(n=noun, k=strip_article(noun), o=other, a=rng.choice(QUALITIES))


def reserved_noun_question(rng: random.Random, topic: str) -> str:
    """A noun of ``nouns.py`` that training never uses, in a held-out frame."""
    noun = rng.choice([noun for noun in MORE_NOUNS[topic] if reserved_noun(noun)])
    return rng.choice(HELD_NOUN_FRAMES).format(n=noun, k=strip_article(noun))


def held_out_question(rng: random.Random, topic: str) -> str:
    """A held-out task phrase in a held-out frame."""
    return task_question(rng, TOPICS[topic], True, True)


# --- questions of the training
def _training_noun(rng: random.Random, topic: str | None) -> str:
    """A noun of the topic: in four of ten cases one of ``topics.py``; now and then in the other number."""
    first, more = TRAINING_NOUNS[topic] if topic else GENERIC_NOUNS
    noun = rng.choice(first if rng.random() < 0.4 else more)
    if rng.random() < 0.1:
        noun = noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else f"{strip_article(noun)}s"
    return noun


def _training_task_question(rng: random.Random, topic: str | None) -> str:
    content = TOPICS[topic] if topic else GENERIC
    if topic is None and rng.random() < 0.5:
        return _framed_task(rng.choice(TASK_FRAMES + MORE_TASK_FRAMES), rng.choice(MORE_OFF_TASKS))
    if rng.random() < 0.6:
        return task_question(rng, content)
    task = rng.choice(content.tasks[:-HELD_TASKS])
    if rng.random() < 0.12:
        task += " " + rng.choice(SUFFIXES_OF_TASK)
    return _framed_task(rng.choice(MORE_TASK_FRAMES), task)


def _training_noun_question(rng: random.Random, topic: str | None) -> str:
    noun, other = _training_noun(rng, topic), strip_article(_training_noun(rng, topic))
    bare = strip_article(noun)
    if rng.random() < 0.12:
        noun = bare = f"{bare} {rng.choice(HEADS)}"
    frame = rng.choice(NOUN_FRAMES if rng.random() < 0.6 else MORE_NOUN_FRAMES)
    text = frame.format(n=noun, k=bare, o=other, a=rng.choice(QUALITIES))
    return text[0].upper() + text[1:] if text.endswith("?") else text


def _training_verb_question(rng: random.Random, topic: str | None) -> str:
    noun = _training_noun(rng, topic)
    if rng.random() < 0.3:
        noun = f"{rng.choice(WIDE_ADJECTIVES + list(QUALITIES))} {strip_article(noun)}"
    task = f"{rng.choice(VERB_PHRASES)} {noun}"
    if rng.random() < 0.2:
        task += " " + rng.choice(SUFFIXES_OF_TASK)
    return _framed_task(rng.choice(TASK_FRAMES if rng.random() < 0.6 else MORE_TASK_FRAMES), task)


def _odd_question(rng: random.Random) -> str:
    """Small talk and questions about things outside every topic, some of them words that do not exist."""
    word = rng.choice(OFF_NOUNS) if rng.random() < 0.6 else syllables(rng, 2).lower()
    frames = OFF_FRAMES if rng.random() < 0.6 else NOUN_FRAMES
    name = syllables(rng, rng.choice((2, 3)))
    return rng.choice(frames).format(x=word, X=name, n=word, k=word, o=rng.choice(OFF_NOUNS), a=rng.choice(QUALITIES))


def _vary(rng: random.Random, text: str) -> str:
    """Greetings, closings, lower case, missing punctuation or words, typing errors."""
    draw = rng.random()
    if draw < 0.06:
        text = rng.choice(GREETINGS) + text
    elif draw < 0.10:
        text += rng.choice(CLOSINGS)
    elif draw < 0.20:
        text = _without_words(rng, text)
    elif draw < 0.26:
        place = rng.randrange(len(text))
        text = text[:place] + rng.choice(("", text[place] * 2, rng.choice(LETTERS))) + text[place + 1 :]
    draw = rng.random()
    if draw < 0.15:
        text = text[:1].lower() + text[1:].rstrip("?.")
    elif draw < 0.25:
        text = text.lower()
    elif draw < 0.32:
        text = text.rstrip("?.")
    return text or "help"


def _without_words(rng: random.Random, text: str) -> str:
    words = text.split()
    for _ in range(rng.randint(1, 3)):
        if len(words) > 2:
            del words[rng.randrange(len(words) - 1)]
    return " ".join(words)


def question(rng: random.Random, topic: str | None) -> str:
    """A training question on ``topic`` (outside every topic when ``None``)."""
    draw = rng.random()
    if topic is None:
        if draw < 0.35:
            return _vary(rng, _odd_question(rng))
        draw = (draw - 0.35) / 0.65
    if draw < 0.40:
        return _vary(rng, _training_task_question(rng, topic))
    if draw < 0.74:
        return _vary(rng, _training_noun_question(rng, topic))
    return _vary(rng, _training_verb_question(rng, topic))
