"""Puts auctions together from entries in any order, has each examined when it is complete, and lets it go.

Memory holds the auctions that are open, and of the last CLOSED ones their ids and those of their bills. So what comes
twice is taken for a second one if its auction closed among these; later for a record of an unknown auction, which is a
discrepancy as well: a second settled event for UNKNOWN_AUCTION, a second bill for EXTRA_CHARGE.

An auction may have been scored more than once, when a position upstream went back. As long as it has one reply and one
set of bills, from the first scored event that was not refused, that is waste: it is counted, and no discrepancy. So
is a dead letter that says the same as an earlier one, when settlement's position went back.
"""

from dataclasses import dataclass, field

from schemas.auction import CandidatesScored
from schemas.billing import AdvertiserCharged
from schemas.reply import ReplySettled
from workers.audit.auction import read_scored
from workers.audit.case import Closed, Open
from workers.audit.draw_keys import Keys
from workers.audit.entries import DUPLICATE, EXPIRED, Entry, Refusal
from workers.audit.examination import Reply, examine
from workers.audit.findings import Finding, Invariant, Kind, Tally

CLOSED = 4_096
RIGHT = {Kind.UNKNOWN_AUCTION: "a scored event before it", Kind.SECOND_SCORED: "the first one"}
MARGIN_MS = 60 * 60 * 1_000  # so much later nothing more comes of an auction that is past its retention


@dataclass(frozen=True, slots=True)
class Horizon:
    """What a log on Kafka cannot be held to, in milliseconds of its records' timestamps."""

    settled_from: int  # older replies may have been deleted
    complete_until: int  # what is younger may still be under way


@dataclass
class Ledger:
    """`horizon` None: the log is a file and whole."""

    tally: Tally
    keys: Keys
    horizon: Horizon | None = None
    _open: dict[str, Open] = field(default_factory=dict)  # oldest first
    _closed: dict[str, Closed] = field(default_factory=dict)  # by auction

    @property
    def open_auctions(self) -> int:
        return len(self._open)

    def add(self, entry: Entry) -> None:
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
        if self.horizon is not None:
            self._forget(self.horizon, entry.at)

    def finish(self) -> None:
        """Judge what is still open."""
        for auction_id, case in self._open.items():
            if self.horizon is not None and case.newest > self.horizon.complete_until:
                self.tally.notes["in_flight"] += 1
            elif self.horizon is not None and case.newest < self.horizon.settled_from:
                self._past_retention()
            else:
                self._incomplete(auction_id, case)
        self._open.clear()

    def _scored(self, data: CandidatesScored, entry: Entry) -> None:
        if entry.redriven:
            self._redriven(data.auction_id, entry.sha256)
        case = self._case(data.auction_id, entry)
        if not entry.redriven and (case is None or case.scored):
            self.tally.notes["scored_again"] += 1
        if case is not None:
            case.add(read_scored(data, entry.sha256, entry.recorded_at))
            self._close_if_complete(data.auction_id, case)

    def _redriven(self, auction_id: str, digest: str) -> None:
        """The end of a refused auction was not its end."""
        closed = self._closed.get(auction_id)
        if closed is not None and not closed.replied:
            self._open[auction_id] = self._closed.pop(auction_id).reopened()
            self.tally.notes[_note(closed.why_refused)] -= 1
        if auction_id in self._open:
            self._open[auction_id].redrive(digest)

    def _refused(self, data: CandidatesScored, entry: Entry, letter: Refusal) -> None:
        case = self._case(data.auction_id, entry)
        known = self._closed[data.auction_id] if case is None else case
        if known.has_ended(letter.sha256):
            self._refused_beside(data, letter, known)
            return
        known.refuse(letter)
        if case is not None:
            self._close_if_complete(data.auction_id, case)

    def _refused_beside(self, data: CandidatesScored, letter: Refusal, known: Open | Closed) -> None:
        """The dead letter of a scored event that had its end before."""
        if letter in known.letters:
            self.tally.notes["refused_again"] += 1  # settlement's position went back
        elif letter.reason == EXPIRED and known.has_reply_from(letter.sha256):
            self.tally.notes["settled_before"] += 1  # so long ago that settlement could not know any more
        else:
            self._twice(Kind.SECOND_TERMINAL, data, "a dead letter as well", letter.sha256)

    def _settled(self, data: ReplySettled, entry: Entry) -> None:
        case = self._case(data.auction_id, entry)
        if case is None or case.reply is not None or case.was_refused(data):
            self._twice(Kind.SECOND_TERMINAL, data, "a second settled event", entry.sha256)
        else:
            case.reply = Reply(data, entry.sha256, entry.at)
            self._close_if_complete(data.auction_id, case)

    def _charged(self, data: AdvertiserCharged, entry: Entry) -> None:
        case = self._case(data.auction_id, entry)
        seen = self._closed[data.auction_id].charge_ids if case is None else case.bills.keys()
        if data.charge_id in seen:
            self._billed(Kind.DOUBLE_CHARGE, data, "the same charge once more")
        elif case is None:
            self._billed(Kind.EXTRA_CHARGE, data, "a charge that its auction's reply does not list")
        else:
            case.bills[data.charge_id] = data
            self._close_if_complete(data.auction_id, case)

    def _case(self, auction_id: str, entry: Entry) -> Open | None:
        """The open auction; None if it has been closed."""
        if auction_id in self._closed:
            return None
        case = self._open.setdefault(auction_id, Open())
        case.newest = max(case.newest, entry.at)
        return case

    def _close_if_complete(self, auction_id: str, case: Open) -> None:
        if not case.complete:
            return
        del self._open[auction_id]
        self._closed[auction_id] = case.closed()
        if len(self._closed) > CLOSED:
            del self._closed[next(iter(self._closed))]
        self._examine(case)

    def _examine(self, case: Open) -> None:
        if case.reply is None:
            self._ended_refused(case)
            return
        first = next(iter(case.events.values()))
        auction = case.settled_from or first  # a reply that names another event than is there says so of itself
        if auction is not first:
            self._twice(Kind.SECOND_SCORED, case.reply.settled, "a reply from a later scored event", auction.digest)
        self.tally.notes["auctions"] += 1
        self.tally.checked[Invariant.TERMINALS] += 1
        examine(self.tally, self.keys, auction, case.reply, list(case.bills.values()))

    def _ended_refused(self, case: Open) -> None:
        """An auction that ended in a dead letter: it may have no bills."""
        self.tally.notes[_note(case.why_refused)] += 1
        self.tally.checked[Invariant.TERMINALS] += 1
        for bill in case.bills.values():
            self._billed(Kind.EXTRA_CHARGE, bill, "a charge of an auction that was refused")

    def _incomplete(self, auction_id: str, case: Open) -> None:
        if case.only_refused:
            self._ended_refused(case)  # its scored event is gone from the topic; the dead letter holds it
        elif case.events and case.reply is not None:
            self._examine(case)  # which finds the bills missing
        elif case.events:
            query_id = next(iter(case.events.values())).query_id
            what = f"the settled event ({len(case.bills)} bills are there)"
            self.tally.notes["auctions"] += 1
            self.tally.checked[Invariant.TERMINALS] += 1
            self.tally.find(Finding(Kind.MISSING_TERMINAL, query_id, auction_id, what, "none", "exactly one"))
        else:
            self._unknown(case)

    def _unknown(self, case: Open) -> None:
        """Records without a scored event: none is in the log, or the auction closed long before."""
        if case.reply is not None:
            self._twice(Kind.UNKNOWN_AUCTION, case.reply.settled, "a settled event", case.reply.sha256)
        for bill in case.bills.values():
            self._billed(Kind.EXTRA_CHARGE, bill, "a charge of an auction that is not in the log or closed long before")

    def _twice(self, kind: Kind, data: CandidatesScored | ReplySettled, what: str, digest: str) -> None:
        right = RIGHT.get(kind, "exactly one")
        self.tally.checked[Invariant.TERMINALS] += 1
        self.tally.find(Finding(kind, data.query_id, data.auction_id, what, digest, right))

    def _billed(self, kind: Kind, bill: AdvertiserCharged, what: str) -> None:
        self.tally.checked[Invariant.BILLS] += 1
        logged = f"{bill.charge_micros} micros ({bill.charge_id})"
        self.tally.find(Finding(kind, bill.query_id, bill.auction_id, what, logged, "no bill", bill.advertiser_id))

    def _forget(self, horizon: Horizon, now: int) -> None:
        """Let go of the oldest open auction if its reply may have been deleted and nothing more comes of it."""
        oldest = next(iter(self._open), None)
        if oldest is not None and self._open[oldest].newest < min(horizon.settled_from, now - MARGIN_MS):
            del self._open[oldest]
            self._past_retention()

    def _past_retention(self) -> None:
        self.tally.notes["past_retention"] += 1
        self.tally.unverifiable[Invariant.TERMINALS] += 1


def _note(why_refused: str) -> str:
    """What an auction that was refused counts as: another has its query id, or it can be sent through again."""
    return "duplicates" if why_refused == DUPLICATE else "refused"
