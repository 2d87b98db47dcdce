"""Forms of words: a noun without its article, a task as a gerund, "my" as "your"."""

from __future__ import annotations

import re

#: Verbs whose last letter is doubled before "ing".
DOUBLED = frozenset(
    "get run plan set chop stop put cut swim jog unclog sit win quit knit trim shop prep skip wrap spot crop hit pat "
    "begin transfer mop log tap fit pet rub zip tip dig".split()
)
YOU = {"my": "your", "My": "Your", "me": "you", "I": "you", "myself": "yourself", "our": "your"}


def strip_article(noun: str) -> str:
    """`a laptop` -> `laptop`."""
    return re.sub(r"^(?:a|an|the|my) ", "", noun)


def gerund(task: str) -> str:
    """`bake cookies` -> `baking cookies`."""
    verb, _, rest = task.partition(" ")
    if verb in DOUBLED:
        verb += verb[-1]
    elif verb.endswith("ie"):
        verb = verb[:-2] + "y"
    elif verb.endswith("e") and not verb.endswith(("ee", "ye", "oe")) and verb != "be":
        verb = verb[:-1]
    return f"{verb}ing {rest}".strip()


def second_person(text: str) -> str:
    """What the asker calls "my", the reply calls "your"."""
    return re.sub(r"\w+", lambda found: YOU.get(found[0], found[0]), text)
