"""The console of rich, fit for a stranger's text."""

import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from workers.cli.visible import JOINERS, LINES, visible


class Console(RichConsole):
    """Escapes what it is given before it is laid out, and reads no markup in it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False, **options})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        if isinstance(renderable, str):
            renderable = self.render_str(renderable)
        return super().render(_escaped_text(renderable) if isinstance(renderable, Text) else renderable, options)

    def on_broken_pipe(self) -> None:
        """As with `click.echo`; rich would exit with 1, which is a command's word for what it found."""
        raise BrokenPipeError


def _escaped_text(text: Text) -> Text:
    """The text with its styles; what is escaped in it has none."""
    if text.plain.isprintable():
        return text
    unsafe = [found.span() for found in re.finditer(".", text.plain, re.DOTALL) if _is_unsafe(found[0])]
    if not unsafe:
        return text
    parts = text.divide(sorted({place for span in unsafe for place in span}))
    return text.blank_copy().join(Text(visible(part.plain)) if _is_unsafe(part.plain) else part for part in parts)


def _is_unsafe(text: str) -> bool:
    return len(text) == 1 and not text.isprintable() and text not in LINES + JOINERS
