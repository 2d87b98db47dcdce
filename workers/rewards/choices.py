"""The file that says, for each advertiser, what its rewards come from: JSON, strict, of bounded size."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from schemas.payload import AdvertiserId, Part
from schemas.reward_source import AnyChoice
from workers.errors import SettingsError
from workers.rewards.reading import read_bounded

MAX_BYTES = 4 * 1024 * 1024
MAX_ADVERTISERS = 10_000


class _File(Part):
    advertisers: Annotated[dict[AdvertiserId, AnyChoice], Field(max_length=MAX_ADVERTISERS)]


def read_choices(path: Path) -> Mapping[str, AnyChoice]:
    """By advertiser id. SettingsError names the file, the advertiser and the field; it shows no value."""
    text = read_bounded(path, MAX_BYTES, "TESSERA_REWARDS_FILE")
    try:
        return _File.model_validate(json.loads(text, object_pairs_hook=_distinct)).advertisers
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise SettingsError(f"{path}: {_place(problem['loc'])}: {problem['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is not JSON that can be read: {str(error)[:200]}") from None


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ: of two entries of one advertiser none is dropped in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:80]!r} stands twice in one object")
    return found


def _place(steps: Sequence[int | str]) -> str:
    """`advertisers.ovennest.adapter`: without the kind of choice, which pydantic puts behind the id."""
    kinds = ("prompt", "lora", "model", "linear_probe")
    shown = [str(step)[:80] for place, step in enumerate(steps) if not (place == 2 and step in kinds)]
    return ".".join(shown) or "the file"
