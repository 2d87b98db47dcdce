"""The registry's rules: which profile may follow which, and what is refused. No Kafka, no clock."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from iso4217 import Currency
from pydantic import ValidationError

from schemas.advertiser import AdvertiserProfile, Status
from schemas.envelope import Event
from schemas.payload import BadRecord, refuse_twice
from workers.advertisers.names import NamesInUse, holds_own_name
from workers.errors import TesseraError

#: What people and models read of an advertiser: approved, it is frozen.
TEXT = ("name", "description", "keywords")
#: Who bids, or will bid again. Only their names are taken: with a draft anybody could block a name.
NAMED: tuple[Status, ...] = ("approved", "paused")
#: From which status a command leads to which.
STEPS: Mapping[Status, tuple[Status, ...]] = {
    "approved": ("draft", "paused"),
    "paused": ("approved",),
    "removed": ("draft", "approved", "paused"),
}
DECODED = 4_096


class RefusedProfile(TesseraError):
    """A profile that is not stored; the message begins with the field's name."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A profile as the table holds it: its bytes, which are a fifth of the objects that they decode to."""

    value: bytes
    version: int
    status: Status
    at: datetime  # by the broker's clock

    @property
    def profile(self) -> AdvertiserProfile:
        return _decoded(self.value)


def register(standing: Registered | None, event: Event[AdvertiserProfile]) -> Registered:
    """The fold of the table: a profile whose version does not rise changes nothing."""
    new = event.data
    if standing is not None and new.version <= standing.version:
        return standing
    return Registered(event.value, new.version, new.status, event.recorded_at or event.time)


def read_profile(text: bytes, standing: Callable[[str], AdvertiserProfile | None], by: str) -> AdvertiserProfile:
    """The next version of the profile in a JSON object. RefusedProfile: a field, and what is wrong with it.

    Version, status and who changes it may be left out: the version is the next one, and the status follows.
    """
    try:
        fields = json.loads(text, object_pairs_hook=refuse_twice)
    except (ValueError, RecursionError, BadRecord) as error:
        raise RefusedProfile(f"profile: not JSON that can be read: {str(error)[:200]}") from None
    if not isinstance(fields, dict):
        raise RefusedProfile("profile: not a JSON object")
    before = standing(str(fields.get("advertiser_id")))
    known = {"version": before.version + 1 if before else 1, "status": "draft", "changed_by": by}
    profile = _validated({**known, **fields, "status": "draft", "changed_by": by})
    return _as_successor(before, profile)


def with_status(profile: AdvertiserProfile, status: Status, by: str) -> AdvertiserProfile:
    """The next version, with another status. RefusedProfile: the one that it has does not lead there."""
    if profile.status not in STEPS[status]:
        allowed = " or ".join(STEPS[status])
        raise RefusedProfile(f"status: {profile.advertiser_id} is {profile.status}; only {allowed} becomes {status}")
    return profile.model_copy(update={"status": status, "version": profile.version + 1, "changed_by": by})


def require_fit(profile: AdvertiserProfile, names: NamesInUse) -> None:
    """RefusedProfile: a currency that there is not, another's name or one like it, or a name in the description."""
    if profile.currency not in Currency.__members__:
        raise RefusedProfile(f"currency: {profile.currency} is no currency of ISO 4217")
    if (twin := names.twin(profile)) is not None:
        raise RefusedProfile(f"name: it is that of {twin}, or cannot be told from it at a glance")
    if holds_own_name(profile):
        raise RefusedProfile("description: it repeats the advertiser's name; prompts name it already")
    if (named := names.named_in(profile.description)) is not None:
        raise RefusedProfile(f"description: the name of {named} stands in it")


def names_in_use(registered: Mapping[str, Registered]) -> NamesInUse:
    """Those of every advertiser that bids or will bid again."""
    return NamesInUse(one.profile for one in registered.values() if one.status in NAMED)


def _as_successor(before: AdvertiserProfile | None, profile: AdvertiserProfile) -> AdvertiserProfile:
    if before is None:
        return profile
    if profile.version <= before.version:
        raise RefusedProfile(f"version: {profile.version} does not rise above {before.version}, the one that stands")
    is_same_text = all(getattr(before, name) == getattr(profile, name) for name in TEXT)
    status = before.status if is_same_text and before.status in NAMED else "draft"
    return profile.model_copy(update={"status": status})


def _validated(fields: dict[str, Any]) -> AdvertiserProfile:
    try:
        return AdvertiserProfile.model_validate(_tuples(fields))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"]))
        message = problem["msg"].removeprefix("Value error, ")
        raise RefusedProfile(f"{place}: {message}" if place else message) from None


def _tuples(value: Any) -> Any:
    """JSON's arrays as tuples: validation is strict."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    return {name: _tuples(one) for name, one in value.items()} if isinstance(value, dict) else value


@lru_cache(DECODED)
def _decoded(value: bytes) -> AdvertiserProfile:
    return AdvertiserProfile.decode(value)
