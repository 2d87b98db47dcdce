"""Which names people cannot tell apart: skeletons after Unicode's UTS 39, of the library's table of confusables."""

import unicodedata
from functools import cache

from confusable_homoglyphs.confusables import confusables_data

_MARKS_OF_THE_TABLE = "\u200e"  # it writes right-to-left characters between two of these


def keys(text: str) -> frozenset[str]:
    """What names that look alike have in common: two are twins when they share a key.

    Case, spaces and punctuation do not tell names apart. Two keys, since `I` looks like `l` and is an `i`, too.
    """
    plain = unicodedata.normalize("NFKC", text)
    return frozenset((_key(plain), _key(plain.casefold())))


def word_keys(text: str) -> tuple[list[str], ...]:
    """The text's words, cut at spaces and marks: as they are, and as both keys have them."""
    plain = unicodedata.normalize("NFKC", text)
    words = "".join(one if _counts(one) else " " for one in plain).split()
    return (words, [_key(word) for word in words], [_key(word.casefold()) for word in words])


def _key(text: str) -> str:
    return _squeezed(_skeleton(text).casefold())


def _skeleton(text: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).translate(_prototypes()))


def _squeezed(text: str) -> str:
    return "".join(filter(_counts, text)) or text


def _counts(character: str) -> bool:
    """Letters, digits, and marks on them; and symbols such as ★, which may be all of a name."""
    return unicodedata.category(character)[0] in "LNMS"


@cache
def _prototypes() -> dict[int, str]:
    """By code point of a character, what it is taken for. The table lists both directions of each pair.

    A character with one entry stands for it, unless the entry has no other and comes later.
    """
    found: dict[int, str] = {}
    for character, entries in confusables_data.items():
        target = entries[0]["c"]
        is_source = len(entries) == 1 and (len(confusables_data.get(target, ())) > 1 or character > target)
        if len(character) == 1 and is_source:
            found[ord(character)] = target.strip(_MARKS_OF_THE_TABLE)
    return found
