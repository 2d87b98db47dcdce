"""The user turns of an auction, as templates that an operator can change. The defaults are the paper's words."""

import json
import re
import tomllib
from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from schemas.auction import PromptVersion, VersionName
from schemas.query import Advertiser
from workers.errors import SettingsError

MAX_BYTES = 64 * 1024
PAPER_VERSION = "paper"
_PLACE = re.compile(r"\{([a-z_]+)\}")
Template = Annotated[str, StringConstraints(min_length=1, max_length=4_000)]

#: What each template must name, and what it may.
PLACES: dict[str, tuple[set[str], set[str]]] = {
    "reference": ({"question"}, set()),
    "context_aware": ({"question", "advertisers"}, set()),
    "mention": ({"name"}, {"description"}),
    "advertiser": ({"question", "name"}, {"description"}),
}


class Prompts(BaseModel):
    """The turns of an auction. The defaults are those of the paper (section 5 and EC.3.4), without a system line."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    version: VersionName = PAPER_VERSION
    system: Annotated[str, Field(max_length=4_000)] = ""
    reference: Template = "{question}"
    context_aware: Template = "Answer the query. Try to mention {advertisers}. {question}"
    mention: Template = "{name}, who is {description}"
    between: Template = " and "
    advertiser: Template = "Answer the question advertising {name}, {description}. {question}"

    @field_validator(*PLACES)
    @classmethod
    def _names_its_places(cls, template: str, info: Any) -> str:
        required, optional = PLACES[info.field_name]
        named = set(_PLACE.findall(template))
        if missing := sorted(required - named):
            raise ValueError(f"it has to name {{{missing[0]}}}")
        if unknown := sorted(named - required - optional):
            raise ValueError(f"{{{unknown[0]}}} is nothing that stands here; known are {_braces(required | optional)}")
        return template

    @cached_property
    def used(self) -> PromptVersion:
        """As events name these words."""
        words = json.dumps(self.model_dump(exclude={"version"}), ensure_ascii=False, sort_keys=True)
        return PromptVersion(version=self.version, sha256=sha256(words.encode()).hexdigest())

    def reference_turn(self, question: str) -> str:
        """What the reference model is asked; in the paper the question alone."""
        return _filled(self.reference, question=question)

    def advertiser_turn(self, question: str, advertiser: Advertiser) -> str:
        """What an advertiser's own model is asked; no other advertiser's text enters it."""
        about = {"name": advertiser.name, "description": advertiser.description}
        return _filled(self.advertiser, question=question, **about)

    def context_aware_turn(self, question: str, advertisers: Sequence[Advertiser]) -> str:
        """What the context-aware proposal is asked: it may mention everyone who takes part."""
        mentions = [_filled(self.mention, name=one.name, description=one.description) for one in advertisers]
        return _filled(self.context_aware, question=question, advertisers=self.between.join(mentions))


PAPER = Prompts()


def parse_prompts(content: bytes, named_by: str) -> Prompts:
    """The turns that a TOML file words; what it leaves out is the paper's. SettingsError names `named_by` and why."""
    try:
        found = tomllib.loads(content.decode())
        if found.get("version", PAPER_VERSION) == PAPER_VERSION:
            raise ValueError(f"version has to name these words, and {PAPER_VERSION!r} is the name of the paper's")
        return Prompts.model_validate(found)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise SettingsError(f"{named_by}: {where}: {problem['msg'].removeprefix('Value error, ')}") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML
        raise SettingsError(f"{named_by}: {error}") from None


def _filled(template: str, **words: str) -> str:
    """In one pass: braces in a stranger's words stay as they are."""
    return _PLACE.sub(lambda place: words[place[1]], template)


def _braces(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))
