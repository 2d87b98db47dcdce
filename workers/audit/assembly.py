"""Puts auctions together from entries in any order, has each examined when it is complete, and lets it go.

Memory holds the auctions that are open. What tells a second outcome of one that is closed lies on disk (DiskMap), so
it is found at any distance: the auction's bills, what its scored events ended in, and which auction used a query id.

An auction may have been scored more than once, when a position upstream went back. As long as it has one reply and one
set of bills, from the first scored event that was not refused, that is work done twice: counted, and no discrepancy. So
is a dead letter that says the same as an earlier one, when settlement's position went back.
"""

from dataclasses import dataclass, field

from schemas.auction import CandidatesScored
from schemas.billing import AdvertiserCharged
from schemas.reply import ReplySettled
from workers.audit.auction import read_scored
from workers.audit.completeness import Completeness
from workers.audit.disk_map import DiskMap
from workers.audit.draw_keys import Keys
from workers.audit.entries import DUPLICATE, EXPIRED, LogEntry, RefusedEvent
from workers.audit.examination import LoggedReply, examine
from workers.audit.findings import Check, Finding, Kind, Tally
from workers.audit.notices import Notices
from workers.audit.open_auction import ClosedAuction, OpenAuction
from workers.audit.query_uses import QueryUses

RIGHT = {Kind.UNKNOWN_AUCTION: "a scored event before it", Kind.SECOND_SCORED: "the first one"}
MARGIN_MS = 60 * 60 * 1_000  # so much later nothing more comes of an auction that is past its retention


@dataclass
class Assembly:
    """`completeness` None: the log is a file and whole."""

    tally: Tally
    keys: Keys
    notices: Notices
    completeness: Completeness | None = None
    _open: dict[str, OpenAuction] = field(default_factory=dict)  # oldest first
    _closed: DiskMap = field(default_factory=DiskMap)  # ClosedAuction.to_text by auction
    _uses: QueryUses = field(init=False)

    def __post_init__(self) -> None:
        self._uses = QueryUses(self.tally, self.completeness)

    @property
    def open_auctions(self) -> int:
        return len(self._open)

    def add(self, entry: LogEntry) -> None:
        """A scored, settled or charged event, or a scored one that was refused."""
        data = entry.data
        if entry.refusal is not None and isinstance(data, CandidatesScored):
            self._refused(data, entry, entry.refusal)
        elif isinstance(data, CandidatesScored):
            self._scored(data, entry)
        elif isinstance(data, ReplySettled):
            self._settled(data, entry)
        elif isinstance(data, AdvertiserCharged):
            self._charged(data, entry)
        if self.completeness is not None:
            self._forget(self.completeness, entry.at)

    @property
    def scored_since(self) -> int | None:
        """The moment of the oldest scored event of an auction without a reply; None: there is none."""
        return min((one.newest for one in self._open.values() if one.events and one.reply is None), default=None)

    def finish(self) -> None:
        """Judge what is still open."""
        for auction_id, opened in self._open.items():
            if self.completeness is not None and opened.newest > self.completeness.complete_until:
                self.tally.notes["in_flight"] += 1
            elif self.completeness is not None and opened.newest < self.completeness.settled_from:
                self._past_retention()
            else:
                self._incomplete(auction_id, opened)
        self._open.clear()
        self._uses.finish()

    def close(self) -> None:
        """Let go of the temporary files."""
        self._closed.close()
        self._uses.close()

    def _scored(self, data: CandidatesScored, entry: LogEntry) -> None:
        if entry.redriven:
            self._redriven(data.auction_id, entry.sha256)
        opened = self._opened(data.auction_id, entry)
        if not entry.redriven and (opened is None or opened.scored):
            self.tally.notes["scored_again"] += 1
        if opened is not None:
            opened.add(read_scored(data, entry.sha256, entry.recorded_at))
            self._close_if_complete(data.auction_id, opened)

    def _redriven(self, auction_id: str, digest: str) -> None:
        """The end of a refused auction was not its end."""
        closed = self._closed_auction(auction_id)
        if closed is not None and not closed.replied:
            self._closed.remove(auction_id)
            self._open[auction_id] = closed.reopened()
            self.tally.notes[_note(closed.why_refused)] -= 1
        if auction_id in self._open:
            self._open[auction_id].redrive(digest)

    def _refused(self, data: CandidatesScored, entry: LogEntry, letter: RefusedEvent) -> None:
        closed = self._closed_auction(data.auction_id)
        known = closed or self._open_auction(data.auction_id, entry)
        if known.has_ended(letter.sha256):
            self._refused_beside(data, letter, known)
            return
        if letter.reason == DUPLICATE:
            self._uses.refused(data, entry)
        known.refuse(letter)
        if isinstance(known, OpenAuction):
            self._close_if_complete(data.auction_id, known)
        else:
            self._closed.put(data.auction_id, known.to_text())

    def _refused_beside(self, data: CandidatesScored, letter: RefusedEvent, known: OpenAuction | ClosedAuction) -> None:
        """The dead letter of a scored event that had its end before."""
        if letter in known.letters:
            self.tally.notes["refused_again"] += 1  # settlement's position went back
        elif letter.reason == EXPIRED and known.has_reply_from(letter.sha256):
            self.tally.notes["settled_before"] += 1  # so long ago that settlement could not know any more
        else:
            self._twice(Kind.SECOND_TERMINAL, data, "a dead letter as well", letter.sha256)

    def _settled(self, data: ReplySettled, entry: LogEntry) -> None:
        opened = self._opened(data.auction_id, entry)
        if opened is None or opened.reply is not None or opened.was_refused(data):
            self._twice(Kind.SECOND_TERMINAL, data, "a second settled event", entry.sha256)
        else:
            opened.reply = LoggedReply(data, entry.sha256, entry.at)
            self._uses.settled(data, entry)
            self._close_if_complete(data.auction_id, opened)

    def _charged(self, data: AdvertiserCharged, entry: LogEntry) -> None:
        closed = self._closed_auction(data.auction_id)
        known = closed or self._open_auction(data.auction_id, entry)
        if data.charge_id in (known.bills if isinstance(known, OpenAuction) else known.charge_ids):
            self._billed(Kind.DOUBLE_CHARGE, data, "the same charge once more")
        elif isinstance(known, OpenAuction):
            known.bills[data.charge_id] = data
            self._close_if_complete(data.auction_id, known)
        else:
            self._billed(Kind.EXTRA_CHARGE, data, "a charge that its auction's reply does not list")

    def _opened(self, auction_id: str, entry: LogEntry) -> OpenAuction | None:
        """The open auction; None if it has been closed."""
        return None if self._closed_auction(auction_id) else self._open_auction(auction_id, entry)

    def _open_auction(self, auction_id: str, entry: LogEntry) -> OpenAuction:
        """The auction, which has not been closed."""
        opened = self._open.setdefault(auction_id, OpenAuction())
        opened.newest = max(opened.newest, entry.at)
        return opened

    def _closed_auction(self, auction_id: str) -> ClosedAuction | None:
        if auction_id in self._open or (text := self._closed.get(auction_id)) is None:
            return None
        return ClosedAuction.from_text(text)

    def _close_if_complete(self, auction_id: str, opened: OpenAuction) -> None:
        if not opened.complete:
            return
        del self._open[auction_id]
        self._closed.put(auction_id, opened.closed().to_text())
        if self.completeness is None or self.completeness.judges(opened.newest):
            self._examine(opened)

    def _examine(self, opened: OpenAuction) -> None:
        if opened.reply is None:
            self._ended_refused(opened)
            return
        first = next(iter(opened.events.values()))
        auction = opened.settled_from or first  # a reply that names another event than is there says so of itself
        if auction is not first:
            self._twice(Kind.SECOND_SCORED, opened.reply.settled, "a reply from a later scored event", auction.digest)
        self.tally.notes["auctions"] += 1
        self.tally.checked[Check.TERMINALS] += 1
        self.tally.terms.add(auction.day, auction.terms)
        draw = opened.reply.settled.draw
        self.notices.compare(auction, draw.algorithm if draw else None)
        examine(self.tally, self.keys, auction, opened.reply, list(opened.bills.values()))

    def _ended_refused(self, opened: OpenAuction) -> None:
        """An auction that ended in a dead letter: it may have no bills."""
        self.tally.notes[_note(opened.why_refused)] += 1
        self.tally.checked[Check.TERMINALS] += 1
        for bill in opened.bills.values():
            self._billed(Kind.EXTRA_CHARGE, bill, "a charge of an auction that was refused")

    def _incomplete(self, auction_id: str, opened: OpenAuction) -> None:
        if opened.only_refused:
            self._ended_refused(opened)  # its scored event is gone from the topic; the dead letter holds it
        elif opened.events and opened.reply is not None:
            self._examine(opened)  # which finds the bills missing
        elif opened.events:
            query_id = next(iter(opened.events.values())).query_id
            what = f"the settled event ({len(opened.bills)} bills are there)"
            self.tally.notes["auctions"] += 1
            self.tally.checked[Check.TERMINALS] += 1
            self.tally.find(Finding(Kind.MISSING_TERMINAL, query_id, auction_id, what, "none", "exactly one"))
        else:
            self._unknown(opened)

    def _unknown(self, opened: OpenAuction) -> None:
        """Records of an auction without a scored event in the log."""
        if opened.reply is not None:
            self._twice(Kind.UNKNOWN_AUCTION, opened.reply.settled, "a settled event", opened.reply.sha256)
        for bill in opened.bills.values():
            self._billed(Kind.EXTRA_CHARGE, bill, "a charge of an auction that is not in the log")

    def _twice(self, kind: Kind, data: CandidatesScored | ReplySettled, what: str, digest: str) -> None:
        right = RIGHT.get(kind, "exactly one")
        self.tally.checked[Check.TERMINALS] += 1
        self.tally.find(Finding(kind, data.query_id, data.auction_id, what, digest, right))

    def _billed(self, kind: Kind, bill: AdvertiserCharged, what: str) -> None:
        self.tally.checked[Check.BILLS] += 1
        logged = f"{bill.charge_micros} micros ({bill.charge_id})"
        self.tally.find(Finding(kind, bill.query_id, bill.auction_id, what, logged, "no bill", bill.advertiser_id))

    def _forget(self, completeness: Completeness, now: int) -> None:
        """Let go of the oldest open auction if its reply may have been deleted and nothing more comes of it."""
        oldest = next(iter(self._open), None)
        if oldest is not None and self._open[oldest].newest < min(completeness.settled_from, now - MARGIN_MS):
            del self._open[oldest]
            self._past_retention()

    def _past_retention(self) -> None:
        self.tally.notes["past_retention"] += 1
        self.tally.unverifiable[Check.TERMINALS] += 1


def _note(why_refused: str) -> str:
    """What an auction that was refused counts as: another has its query id, or it can be sent through again."""
    return "duplicates" if why_refused == DUPLICATE else "refused"
