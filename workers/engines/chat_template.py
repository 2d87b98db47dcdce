"""A model's chat template around one user's turn, and a system line before it, as Transformers renders it."""

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import TemplateError, UndefinedError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

#: What a template may name; one that the model lacks is undefined.
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
CLOCK = "strftime_now"  # templates ask whether there is one; here there is none
NO_CLOCK = (
    "it puts today's date into every prompt, and a query that is worked on again tomorrow must get the same reply. "
    f"Write a fixed date into a copy of the template in place of {CLOCK}(...)"
)


class GenerationTag(Extension):
    """`{% generation %}` marks for training what the model said: its content, in a scope of its own."""

    tags = {"generation"}  # noqa: RUF012  # as the base class declares it

    def parse(self, parser: Parser) -> nodes.Node:
        """What stands between the tags, in its place."""
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


def render_turn(template: str, special_tokens: Mapping[str, str], turn: str, system: str = "") -> str:
    """Up to where the model goes on; an empty `system` is none. Sandboxed: the template came with a model.

    Any exception: a template is a program, and may fail in every way.
    """
    before = [{"role": "system", "content": system}] if system else []
    try:
        return (
            _environment()
            .from_string(template)
            .render(
                messages=[*before, {"role": "user", "content": turn}],
                tools=None,
                documents=None,
                add_generation_prompt=True,
                **special_tokens,
            )
        )
    except UndefinedError as error:
        raise (TemplateError(NO_CLOCK) if CLOCK in str(error) else error) from error


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _json
    environment.globals["raise_exception"] = _refuse
    return environment


def _json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own filter writes `<` as an escape."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> None:
    raise TemplateError(message)
