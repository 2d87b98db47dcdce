"""What a command writes to the registry: the next versions of some profiles, all of them or none."""

from collections.abc import Iterator, Mapping, Sequence

from schemas.advertiser import AdvertiserProfile, Status
from workers.advertisers.names import NamesInUse
from workers.advertisers.registry import (
    NAMED,
    RefusedProfile,
    Registered,
    names_in_use,
    read_profile,
    require_fit,
    with_status,
)

SHOWN_PROBLEMS = 20


def next_versions(
    registered: Mapping[str, Registered], texts: Sequence[bytes], by: str, *, approve: bool = False
) -> list[AdvertiserProfile]:
    """Of the profiles in some JSON objects, as drafts, and approved behind that if that is asked for.

    RefusedProfile: what is wrong with the first SHOWN_PROBLEMS of them, by line and field.
    """
    names, versions, problems = names_in_use(registered), list[AdvertiserProfile](), list[str]()
    seen = set[str]()
    for number, text in enumerate(texts, start=1):
        try:
            profile = read_profile(text, lambda id_: _standing(registered, id_), by)
            _require_first(profile, seen)
            require_fit(profile, names)
        except RefusedProfile as error:
            problems.append(f"line {number}: {error}" if len(texts) > 1 else str(error))
            continue
        steps = [profile, with_status(profile, "approved", by)] if approve and profile.status == "draft" else [profile]
        if steps[-1].status in NAMED:
            names.add(profile)
        versions.extend(steps)
    _refuse(problems)
    _require_names_unused(registered, versions)
    return versions


def next_status(
    registered: Mapping[str, Registered], status: Status, ids: Sequence[str], by: str
) -> list[AdvertiserProfile]:
    """Of these advertisers, with another status. RefusedProfile: an id that nobody has, or one that may not take it."""
    names, versions = names_in_use(registered), []
    for id_ in dict.fromkeys(ids):
        if (profile := _standing(registered, id_)) is None:
            raise RefusedProfile(
                f"advertiser_id: nobody is called {id_}; `tessera advertisers list` shows who is there"
            )
        if status == "approved":
            require_fit(profile, names)
            names.add(profile)
        versions.append(with_status(profile, status, by))
    _require_names_unused(registered, versions)
    return versions


def _standing(registered: Mapping[str, Registered], advertiser_id: str) -> AdvertiserProfile | None:
    found = registered.get(advertiser_id)
    return found.profile if found else None


def _require_first(profile: AdvertiserProfile, seen: set[str]) -> None:
    if profile.advertiser_id in seen:
        raise RefusedProfile(f"advertiser_id: {profile.advertiser_id} stands twice in this file")
    seen.add(profile.advertiser_id)


def _require_names_unused(registered: Mapping[str, Registered], versions: Sequence[AdvertiserProfile]) -> None:
    """RefusedProfile: a name that is approved now stands in another's description."""
    approved = [one for one in versions if one.status == "approved"]
    names = NamesInUse(approved)
    for other in _others(registered, versions) if approved else ():
        named = names.named_in(other.description)
        if named is not None and named != other.advertiser_id:
            raise RefusedProfile(
                f"name: that of {named} stands in the description of {other.advertiser_id}, which is approved"
            )


def _others(registered: Mapping[str, Registered], versions: Sequence[AdvertiserProfile]) -> Iterator[AdvertiserProfile]:
    """Everybody who bids, or will bid again, once these versions stand."""
    changed = {one.advertiser_id: one for one in versions}
    yield from (one for one in changed.values() if one.status in NAMED)
    yield from (one.profile for id_, one in registered.items() if one.status in NAMED and id_ not in changed)


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        more = len(problems) - SHOWN_PROBLEMS
        shown = "\n".join(problems[:SHOWN_PROBLEMS]) + (f"\nand {more} more" if more > 0 else "")
        raise RefusedProfile(f"{shown}\nnothing is stored" if len(problems) > 1 else f"{shown}. Nothing is stored")
