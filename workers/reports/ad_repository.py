"""What a public repository of advertisements has to say of each advertiser (Digital Services Act, Article 39).

No amounts and nothing of who asked: on whose behalf a reply was influenced, what was advertised, who paid, how much the
payment moved replies, when, and how often.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from schemas.auction import Bidder, CandidatesScored
from schemas.envelope import Event
from schemas.reply import ReplySettled, Sponsor
from workers.bids import bids
from workers.held import is_held
from workers.id_set import KnownIds
from workers.receipts.lift import is_named, lift_of

MOST_CONTENTS = 1_000  # different descriptions that are listed of one advertiser


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total, self.count = self.total + value, self.count + 1

    @property
    def value(self) -> float | None:
        return self.total / self.count if self.count else None


@dataclass(slots=True)
class AdvertiserEntry:
    """One advertiser of the repository."""

    name: str = ""
    contents: dict[str, int] = field(default_factory=dict)  # auctions by what was advertised
    contents_left_out: int = 0  # auctions with more descriptions than MOST_CONTENTS
    paid_by: set[str] = field(default_factory=set)
    first_presented_at: datetime | None = None
    last_presented_at: datetime | None = None
    replies: int = 0  # given with its bid
    replies_naming_it: int = 0
    shown_with: _Mean = field(default_factory=_Mean)
    shown_without: _Mean = field(default_factory=_Mean)
    named_with: _Mean = field(default_factory=_Mean)
    named_without: _Mean = field(default_factory=_Mean)


@dataclass
class AdRepository:
    """Scored events and replies of a period, folded by advertiser; memory grows with advertisers and descriptions."""

    entries: dict[str, AdvertiserEntry] = field(default_factory=dict)
    _queries: KnownIds = field(default_factory=KnownIds)

    def add_auction(self, event: Event[CandidatesScored]) -> None:
        """What was advertised, who paid and how far bids moved replies; of auctions of one query the first counts."""
        scored = event.data
        if not is_held(event) or scored.query_id in self._queries:
            return
        self._queries.add(scored.query_id)
        bidders, grouped = bids(scored)
        for members in grouped.members:
            for place in members:
                self._add_bidder(scored, bidders[place], bidders[members[0]].advertiser_id)

    def add_reply(self, event: Event[ReplySettled]) -> None:
        """Who had a say in a reply that was given, and when that was."""
        for sponsor in event.data.sponsors:
            _present(self._entry(sponsor.advertiser_id, sponsor.name), event, sponsor)

    def rows(self) -> Iterator[dict[str, Any]]:
        """An object for JSON of each advertiser, by its id; times in RFC 3339."""
        for id_, entry in sorted(self.entries.items()):
            yield {"advertiser_id": id_, **_row(entry)}

    def _add_bidder(self, scored: CandidatesScored, bidder: Bidder, payer: str) -> None:
        entry = self._entry(bidder.advertiser_id, bidder.name)
        entry.paid_by.add(payer)
        if bidder.description in entry.contents or len(entry.contents) < MOST_CONTENTS:
            entry.contents[bidder.description] = entry.contents.get(bidder.description, 0) + 1
        else:
            entry.contents_left_out += 1
        if lift := lift_of(scored, bidder.advertiser_id):
            entry.named_with.add(lift.named_with)
            entry.named_without.add(lift.named_without)

    def _entry(self, id_: str, name: str) -> AdvertiserEntry:
        entry = self.entries.setdefault(id_, AdvertiserEntry())
        entry.name = name
        return entry


def _present(entry: AdvertiserEntry, event: Event[ReplySettled], sponsor: Sponsor) -> None:
    at = event.taken_at
    entry.first_presented_at = min(at, entry.first_presented_at or at)
    entry.last_presented_at = max(at, entry.last_presented_at or at)
    entry.replies += 1
    entry.replies_naming_it += is_named(sponsor.name, event.data.reply)
    entry.shown_with.add(sponsor.probability_with)
    entry.shown_without.add(sponsor.probability_without)


def _row(entry: AdvertiserEntry) -> dict[str, Any]:
    first, last = entry.first_presented_at, entry.last_presented_at
    return {
        "on_behalf_of": entry.name,
        "paid_by": sorted(entry.paid_by),
        "contents": [{"text": text, "auctions": count} for text, count in entry.contents.items()],
        "contents_left_out": entry.contents_left_out,
        "first_presented_at": first and first.isoformat(),
        "last_presented_at": last and last.isoformat(),
        "replies": entry.replies,
        "replies_naming_it": entry.replies_naming_it,
        "mean_probability_of_reply_with_bid": entry.shown_with.value,
        "mean_probability_of_reply_without_bid": entry.shown_without.value,
        "mean_probability_of_being_named_with_bid": entry.named_with.value,
        "mean_probability_of_being_named_without_bid": entry.named_without.value,
    }
