"""One reply judged: its sentences on topic, sentences said twice, names that nobody gave, words nobody knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from . import names, outside, phrases
from .grammar import NEUTRAL, brand_of, brand_sentences, has_name, masked, right_sentences, sentences, unlinked
from .subjects import subjects
from .things import Thing
from .turns import ADJECTIVES, VERBS, Ad
from .wording import gerund

WORD = re.compile(r"[§¤]?\w+(?:['’-]\w+)*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one reply does; counts are of its sentences or words."""

    counted: int  # sentences that say something about the question
    on_topic: int  # of these, those that are right for it
    spoken: int  # all sentences
    repeated: int  # sentences that an earlier one has said
    words: int
    unknown: tuple[str, ...]  # words outside the corpus, the turn and the given names
    strange_names: tuple[str, ...]  # names that the turn does not give
    named: tuple[bool, ...]  # per advertiser of the turn, whether it is named letter by letter

    @property
    def names_a_brand(self) -> bool:
        """Whether any brand is named, given or not."""
        return any(self.named) or bool(self.strange_names)


def judge(text: str, about: Thing, turn: str, ads: Sequence[Ad] = ()) -> Verdict:
    """Judge the reply `text` to a `turn` that asks about `about` and gives `ads`."""
    plain = masked(text, ads)
    parts = sentences(plain)
    kinds = [_kind(part, about, ads) for part in parts]
    if about.subject is None and about.answered["b" if about.task else "n"].lower() not in text.lower():
        kinds = ["off" if kind == "on" else kind for kind in kinds]  # general advice about nothing
    unknown = tuple(word for word in WORD.findall(plain) if not _known(word, turn))
    return Verdict(
        counted=sum(kind in ("on", "off") for kind in kinds),
        on_topic=kinds.count("on"),
        spoken=len(parts),
        repeated=len(parts) - len({unlinked(part) for part in parts}),
        words=len(WORD.findall(plain)),
        unknown=unknown,
        strange_names=_strange_names(parts, unknown, ads),
        named=tuple(has_name(ad.name, text) for ad in ads),
    )


def _kind(part: str, about: Thing, ads: Sequence[Ad]) -> str:
    if part in NEUTRAL or part in brand_sentences(ads):
        return "neutral"
    return "on" if unlinked(part) in right_sentences(about) else "off"


def _strange_names(parts: list[str], unknown: tuple[str, ...], ads: Sequence[Ad]) -> tuple[str, ...]:
    """Brands of sentences that name one, and unknown words with a capital or a digit; given ones are masked."""
    brands = (brand_of(part) for part in parts if part not in brand_sentences(ads))
    found = [brand for brand in brands if brand is not None and not re.fullmatch(r"§\d(, ¤\d)?", brand)]
    return (*found, *(word for word in unknown if re.search(r"[A-Z0-9]", word)))


def _known(word: str, turn: str) -> bool:
    return word[0] in "§¤" or word.lower() in vocabulary() or word.lower() in _words(turn)


@cache
def _words(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in WORD.findall(text))


@cache
def vocabulary() -> frozenset[str]:
    """Every word that the corpus writes, brands and invented words left out."""
    texts = [*VERBS, *ADJECTIVES, *names.WIDE_ADJECTIVES, *names.WIDE_NOUNS, *phrases.SMALL_TALK.values()]
    for one in subjects().values():
        texts += [*one.tasks, *map(gerund, one.tasks), *one.held, *map(gerund, one.held), *one.nouns]
        texts += [*one.goods, *one.tips]
    for module in (phrases, outside):
        texts += [text for value in vars(module).values() for text in _texts(value)]
    texts += [*map(gerund, (*outside.OUTSIDE_TASKS, *outside.OUTSIDE_VERBS))]
    return _words(" ".join(texts).replace("{", " ").replace("}", " ")) | {"your", "you", "yourself"}


def _texts(value: object) -> list[str]:
    if isinstance(value, tuple):
        return [text for text in value if isinstance(text, str)]
    return [text for part in value.values() for text in _texts(part)] if isinstance(value, dict) else []
