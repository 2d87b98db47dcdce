"""What the model can talk about: about a hundred subjects, each with its tasks, nouns, goods and tips.

They lie in `subjects/*.txt`.  A subject is so narrow that every tip suits every task and noun of it, and its tips are
in the order in which somebody would follow them: any few of them, in that order, read as one piece of advice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "subjects"


class Subject(NamedTuple):
    """Task phrases ("bake cookies"), nouns ("a pie"), goods that are sold for it, tips (imperatives, in order)."""

    name: str
    held: tuple[str, ...]  # tasks of the demo's queries, which training never sees
    tasks: tuple[str, ...]
    nouns: tuple[str, ...]
    goods: tuple[str, ...]
    tips: tuple[str, ...]


def split(text: str) -> tuple[str, ...]:
    """The parts of `a|b|c`."""
    return tuple(part.strip() for part in text.split("|") if part.strip())


@cache
def subjects() -> dict[str, Subject]:
    """Every subject by name, in the order of the files."""
    return {subject.name: subject for path in sorted(FOLDER.glob("*.txt")) for subject in _read(path)}


def _read(path: Path) -> Iterator[Subject]:
    for part in path.read_text(encoding="utf-8").split("[")[1:]:
        name, _, body = part.partition("]")
        fields = dict(re.findall(r"^(\w+): (.*)$", body, re.MULTILINE))
        yield Subject(name, *(split(fields.get(field, "")) for field in Subject._fields[1:]))


@cache
def subject_of_tip() -> dict[str, frozenset[str]]:
    """Every tip and the subjects that have it: a few short ones suit several."""
    made: dict[str, frozenset[str]] = {}
    for subject in subjects().values():
        made |= {tip: made.get(tip, frozenset()) | {subject.name} for tip in subject.tips}
    return made
