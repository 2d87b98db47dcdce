"""What a reply says: its sentences, the tips and brands among them, whether it keeps to the corpus grammar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from .replies import CALLS, CONNECTORS, MENTIONS, OPENERS, POLITE
from .topics import GENERIC, TOPICS

OUTSIDE = "generic"


def _form(template: str, brand: str) -> str:
    return re.escape(template).replace(r"\{b\}", brand).replace(r"\{d\}", r"[^.,!?]+")


BRAND_SENTENCES = [re.compile(_form(form, r"(?P<b>[^.,!?]+?)")) for form in MENTIONS + CALLS]


def has_name(name: str, text: str) -> bool:
    """Whether ``text`` contains the brand letter by letter, as whole words."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def sentences(text: str) -> list[str]:
    """The sentences of a reply."""
    return re.split(r"(?<=[.?!]) ", text)


@cache
def topic_of_tip() -> dict[str, str]:
    """Every tip, also behind a connector, and its topic."""
    made = {}
    for topic, content in [*TOPICS.items(), (OUTSIDE, GENERIC)]:
        for tip in content.tips:
            made[tip] = topic
            made |= {f"{connector}{tip[0].lower()}{tip[1:]}": topic for connector in CONNECTORS}
    return made


def brands(text: str) -> list[str]:
    """The brands that a reply names."""
    parts = [part for part in sentences(text) if part not in topic_of_tip()]
    found = [form.fullmatch(part) for part in parts for form in BRAND_SENTENCES]
    return [match["b"] for match in found if match]


@cache
def _grammar() -> re.Pattern[str]:
    fixed = sorted({*topic_of_tip(), *OPENERS, *POLITE}, key=lambda text: (-len(text), text))
    forms = [re.escape(text) for text in fixed] + [_form(form, r"(?:[^.,!?]+?)") for form in MENTIONS + CALLS]
    return re.compile(f"(?:(?:{'|'.join(forms)})(?: |$))+")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one reply to a question of one topic does."""

    on_topic: bool  # has a tip of the topic
    only_topic: bool  # and none of another
    well_formed: bool  # every sentence is one of the corpus grammar, brands and descriptions free
    repeats: bool  # has a tip twice
    names_brand: bool


def judge(text: str, topic: str) -> Verdict:
    """Judge a reply."""
    used = [part for part in sentences(text) if part in topic_of_tip()]
    topics = {topic_of_tip()[part] for part in used}
    plain = [part.lower()[-18:] for part in used]  # the same behind a connector and without
    return Verdict(
        on_topic=topic in topics,
        only_topic=topics == {topic},
        well_formed=_grammar().fullmatch(text) is not None,
        repeats=len(set(plain)) < len(plain),
        names_brand=bool(brands(text)),
    )
