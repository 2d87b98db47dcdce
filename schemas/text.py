"""Text from strangers: which characters a name or a description may hold."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

#: Quotation marks, what parts sentences, and a full word with a full stop between other words ("Dr. Oetker" has none).
_MISLEADING = re.compile(r'["“”„‟«»‹›「」『』;。]|\s\w{4,}[.!?]+\s')


def reads_as_a_sentence(name: str) -> bool:
    """Whether a name, quoted in a sentence, could be taken for the end of it and another sentence."""
    return _MISLEADING.search(name) is not None


def plain_line(text: str) -> str:
    """The text in NFKC; ValueError for control, bidirectional, zero-width, private-use and unassigned characters."""
    text = unicodedata.normalize("NFKC", text).strip()
    if not text:
        raise ValueError("the text is blank")
    if text.isascii() and text.isprintable():
        return text
    for place, character in enumerate(text):
        if unicodedata.category(character) in _REFUSED_CATEGORIES:
            raise ValueError(
                f"character {place} (U+{ord(character):04X}) is a control, invisible or unassigned character"
            )
    return text


#: An advertiser's name as people see it. The bound is checked before and after NFKC, which can lengthen a text.
DisplayName = Annotated[
    str, StringConstraints(min_length=1, max_length=64), AfterValidator(plain_line), StringConstraints(max_length=64)
]

#: A display name that was checked when it came in.
KnownName = Annotated[str, StringConstraints(min_length=1, max_length=64)]

#: What an advertiser sells; it follows the name ("a platform for ...") in the advertiser's own prompts.
Description = Annotated[
    str, StringConstraints(min_length=1, max_length=500), AfterValidator(plain_line), StringConstraints(max_length=500)
]
