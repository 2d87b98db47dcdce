"""What training never sees: the demo's queries and advertisers, brands and nouns that only the evaluation uses."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from .subjects import split, subjects
from .wording import gerund

DEMO = Path(__file__).parents[2] / "workers" / "cli" / "demo_queries.jsonl"

#: Nouns in no subject, for questions about things never heard of.
UNSEEN = split(
    "a telescope|beekeeping|a hammock|bonsai|a trampoline|falconry|a lighthouse|pottery|a viaduct|a totem pole"
    "|a windmill|calligraphy|a hedgehog|stamp collecting|a sundial|snowboarding|a typewriter|blacksmithing|a catapult"
    "|meteorites|a kaleidoscope|juggling|a tractor|a rickshaw|a carousel|ventriloquism|a zeppelin|crocodiles"
    "|a harpoon|genealogy|a portcullis|curling|a barometer|taxidermy|a gondola|yodeling|a locksmith|icebergs"
    "|a chandelier|parkour|a boomerang|cartography|a llama|geysers|a treehouse|skateboards|a periscope|numismatics"
    "|an accordion|an anvil"
)


def words(text: str) -> str:
    """Lower case, words only, one blank between them: what two spellings of one phrase have in common."""
    return " ".join(re.findall(r"\w+", text.lower()))


@cache
def demo() -> tuple[dict[str, Any], ...]:
    """The demo's queries as the query topic has them."""
    return tuple(json.loads(line) for line in DEMO.read_text(encoding="utf-8").splitlines())


@cache
def _demo_names() -> frozenset[str]:
    return frozenset(words(one["name"]) for query in demo() for one in query["advertisers"])


@cache
def _demo_descriptions() -> frozenset[str]:
    return frozenset(words(one["description"]) for query in demo() for one in query["advertisers"])


@cache
def _demo_tasks() -> re.Pattern[str]:
    held = (words(form) for one in subjects().values() for task in one.held for form in (task, gerund(task)))
    return re.compile(rf"\b(?:{'|'.join(held)})\b")


def holds_out(text: str) -> bool:
    """Whether `text` has a task of the demo's queries, also as a gerund, or an unseen noun in it."""
    plain = words(text)
    return _demo_tasks().search(plain) is not None or _unseen().search(plain) is not None


@cache
def _unseen() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(words(noun) for noun in UNSEEN)})\b")


def holds_out_name(name: str) -> bool:
    """Whether `name` is one of the demo's advertisers, however it is spelt."""
    return words(name) in _demo_names()


def holds_out_description(description: str) -> bool:
    """Whether `description` is one of the demo's advertisers', or has one of its tasks in it ("making espresso")."""
    return words(description) in _demo_descriptions() or holds_out(description)
