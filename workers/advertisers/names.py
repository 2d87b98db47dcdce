"""Advertisers' names: none can be taken for another's, and no description holds one.

A name in a description is told to the model a second time: repeating one's own was measured to double what a bid gains,
and another's there would profit from it.
"""

from collections.abc import Iterable, Iterator

from schemas.advertiser import AdvertiserProfile
from workers.advertisers.confusables import keys, word_keys

LONGEST_NAME = 8  # words of a description that may be one name
SHORTEST = 3  # letters; a shorter name stands in a description by chance, unless it is written as the name is


class NamesInUse:
    """The names of advertisers that bid or will bid again, by what makes them alike."""

    def __init__(self, profiles: Iterable[AdvertiserProfile] = ()) -> None:
        self._owners: dict[str, str] = {}
        for profile in profiles:
            self.add(profile)

    def add(self, profile: AdvertiserProfile) -> None:
        """From now on the name is taken."""
        for key in _keys(profile.name):
            self._owners.setdefault(key, profile.advertiser_id)

    def twin(self, profile: AdvertiserProfile) -> str | None:
        """The id of another advertiser whose name this one's can be taken for."""
        owners = (self._owners.get(key) for key in _keys(profile.name))
        return next((owner for owner in owners if owner not in (None, profile.advertiser_id)), None)

    def named_in(self, description: str) -> str | None:
        """The id of an advertiser whose name stands in the description, with spaces and marks or without."""
        return next((self._owners[run] for run in _runs(description) if run in self._owners), None)


def holds_own_name(profile: AdvertiserProfile) -> bool:
    """Whether the description repeats the name."""
    return NamesInUse([profile]).named_in(profile.description) is not None


def _keys(name: str) -> frozenset[str]:
    found = keys(name)
    return found if all(len(key) >= SHORTEST for key in found) else frozenset({name})


def _runs(text: str) -> Iterator[str]:
    """What each run of some words would be as a name."""
    for words in word_keys(text):
        for begin in range(len(words)):
            for end in range(begin + 1, min(begin + LONGEST_NAME, len(words)) + 1):
                yield "".join(words[begin:end])
