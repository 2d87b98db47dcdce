"""Which registered advertisers bid on a query: those it names, or those it finds. Decided before any bid is read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from schemas.advertiser import AdvertiserProfile
from schemas.identity import derive
from schemas.payload import MAX_ADVERTISERS
from schemas.query import QuerySubmitted
from schemas.reasons import AbstentionReason
from workers.advertisers.eligibility import exclusion, has_rival
from workers.advertisers.registry import Registered

#: Ids of the advertisers whom a text finds, at most so many, with their rank: the same rank is a tie.
Find = Callable[[str, int], Sequence[tuple[str, int]]]

CONSIDERED = MAX_ADVERTISERS // 2  # of those whom a question finds; each is in the event, as a bidder or with a reason


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who bids, in the order in which prompts name them, and why others do not."""

    profiles: tuple[AdvertiserProfile, ...] = ()
    reasons: Mapping[str, AbstentionReason] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Admission:
    """Looks up the advertisers that a query names; finds some for one that names nobody, if `find` is there.

    At most `most` of those who were found bid: the better found before the
    others, and of the equally well found those whose hash with the query is less, so that nobody is always last.
    """

    profiles: Mapping[str, Registered]
    currency: str
    find: Find | None = None
    most: int = 8

    def is_registered(self, advertiser_id: str) -> bool:
        return advertiser_id in self.profiles

    def admit(
        self, query: QuerySubmitted, query_id: str, at: datetime, barred: AbstentionReason | None = None
    ) -> Admitted:
        """By the profiles of this moment. `at`: when the broker took the query; `barred`: why nobody bids on it."""
        if query.advertiser_ids is not None:
            if barred is not None:
                return Admitted(reasons=dict.fromkeys(query.advertiser_ids, barred))
            return self._admit(query.advertiser_ids, query, at, len(query.advertiser_ids))
        if self.find is None or query.advertisers or barred is not None:
            return Admitted()
        return self._admit(self._found(query.text, query_id), query, at, self.most)

    def _found(self, text: str, query_id: str) -> Iterable[str]:
        found = self.find(text, CONSIDERED) if self.find else ()
        return [id_ for id_, _ in sorted(found, key=lambda one: (one[1], derive("order", query_id, one[0])))]

    def _admit(self, ids: Iterable[str], query: QuerySubmitted, at: datetime, most: int) -> Admitted:
        bidders: list[AdvertiserProfile] = []
        reasons: dict[str, AbstentionReason] = {}
        for id_ in ids:
            judged = self._judge(id_, query, at)
            if isinstance(judged, AdvertiserProfile):
                judged = _beside(judged, bidders, most) or judged
            if isinstance(judged, AdvertiserProfile):
                bidders.append(judged)
            else:
                reasons[id_] = judged
        return Admitted(tuple(bidders), reasons)

    def _judge(self, id_: str, query: QuerySubmitted, at: datetime) -> AdvertiserProfile | AbstentionReason:
        if (found := self.profiles.get(id_)) is None:
            return AbstentionReason.UNKNOWN_ADVERTISER
        return exclusion(found.profile, query, at, self.currency) or found.profile


def _beside(profile: AdvertiserProfile, bidders: Sequence[AdvertiserProfile], most: int) -> AbstentionReason | None:
    if has_rival(profile, bidders):
        return AbstentionReason.RIVAL_PRESENT
    return AbstentionReason.NOT_AMONG_FIRST if len(bidders) >= most else None


#: Without a registry nobody is registered: whoever is named abstains.
NOBODY = Admission({}, "")
