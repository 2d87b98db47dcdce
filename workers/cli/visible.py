"""A stranger's text as a terminal may get it: nothing moves the cursor, turns the writing, hides or sets a clipboard.

Everything for people goes through here: what commands print on standard output by console.py, and by `Visible` all of
standard error. JSON does not: whoever reads it gets what is there.
"""

import io

LINES = "\n\t"  # what text of several lines may hold
JOINERS = "\u200c\u200d"  # they have no width, and Persian, Indic scripts and emoji are written with them


def visible(text: str, kept: str = "") -> str:
    """The text on one line, or with what is `kept`; what is not printable, line ends too, is escaped: `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in kept else _escaped(one) for one in text)


def indented(text: str) -> str:
    """Text of several lines behind one of ours: none of its lines can pass for a message of its own."""
    return "\n  ".join(visible(text, LINES + JOINERS).split("\n"))


class Visible(io.TextIOWrapper):
    """A stream on which everything is visible, tracebacks and other people's log lines too; `behind` takes all."""

    def __init__(self, behind: io.TextIOWrapper) -> None:
        super().__init__(behind.buffer, behind.encoding, "backslashreplace", line_buffering=True, write_through=True)
        self.behind = behind

    def write(self, text: str) -> int:
        super().write(visible(text, LINES + JOINERS))
        return len(text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
