"""What the sentences of a reply are: right for the question, neutral, naming a brand, or none of these."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product

from . import phrases
from .subjects import subjects
from .things import Thing
from .turns import Ad

ALL_LINKS = (*phrases.FIRST_LINKS, *phrases.LINKS, *phrases.LAST_LINKS)
BRAND_SENTENCES = (*phrases.MENTIONS, *phrases.MORE_MENTIONS, *phrases.CALLS)
NEUTRAL = frozenset((*phrases.PLAIN_LEADS, *(end for end in phrases.ENDS if "{" not in end)))


def has_name(name: str, text: str) -> bool:
    """Whether `text` contains the brand letter by letter, as whole words."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def masked(text: str, ads: Sequence[Ad]) -> str:
    """`text` with the brands and descriptions of `ads` as signs: a point in a name is no end of a sentence."""
    marks = [(ad.name, name_mark(place)) for place, ad in enumerate(ads)]
    marks += [(ad.description, description_mark(ads, ad)) for ad in ads]
    for words, mark in sorted(marks, key=lambda pair: -len(pair[0])):
        text = re.sub(rf"(?<!\w){re.escape(words)}(?!\w)", mark, text)
    return text


def name_mark(place: int) -> str:
    """What stands for the name of the advertiser at `place` of the turn."""
    return f"§{place}"


def description_mark(ads: Sequence[Ad], ad: Ad) -> str:
    """What stands for its description: one sign for advertisers that are described alike."""
    return f"¤{[one.description for one in ads].index(ad.description)}"


def sentences(text: str) -> list[str]:
    """The sentences of a reply."""
    return [part for part in re.split(r"(?<=[.?!]) ", text.strip()) if part]


def unlinked(sentence: str) -> str:
    """The sentence without the word that ties it to the others, lower case: two that are equal here say the same."""
    for link in ALL_LINKS:
        sentence = sentence.removeprefix(link)
    return sentence.lower()


def right_sentences(about: Thing) -> frozenset[str]:
    """Every sentence that answers a question about `about`, as `unlinked` has it."""
    slots = about.answered
    leads = (phrases.TASK_LEADS if about.task else phrases.NOUN_LEADS).values()
    texts = [*(text for group in leads for text in group), *phrases.ENDS]
    texts += phrases.OUTSIDE_TASK_LEADS if about.task else phrases.OUTSIDE_NOUN_LEADS
    filled = {text.format(**slots).lower() for text in texts if "{" in text}
    return frozenset(filled | {f"{tip}.".lower() for tip in _tips(about)})


def _tips(about: Thing) -> Iterable[str]:
    if about.subject is not None:
        return subjects()[about.subject].tips
    if about.task:
        return [tip.format(**about.answered) for tip in phrases.OUTSIDE_TASK_TIPS]
    answered = about.answered
    return [tip.format(n=noun) for tip, noun in product(phrases.OUTSIDE_NOUN_TIPS, (answered["n"], "this"))]


def brand_sentences(ads: Sequence[Ad]) -> frozenset[str]:
    """Every sentence that names one of `ads` rightly, masked."""
    marks = [(name_mark(place), description_mark(ads, ad)) for place, ad in enumerate(ads)]
    return frozenset(form.format(b=name, d=said) for form in BRAND_SENTENCES for name, said in marks)


@cache
def _brand_forms() -> list[re.Pattern[str]]:
    texts = (re.escape(form).replace(r"\{b\}", r"(?P<b>.+?)").replace(r"\{d\}", r".+") for form in BRAND_SENTENCES)
    return [re.compile(text) for text in texts]


def brand_of(sentence: str) -> str | None:
    """What stands where a sentence that names a brand has the brand; None where it is no such sentence."""
    found = (form.fullmatch(sentence) for form in _brand_forms())
    return next((match["b"] for match in found if match), None)
