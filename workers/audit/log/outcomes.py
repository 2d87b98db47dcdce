"""The outcome of every query: its records are put together in any order, judged when they are complete, and let go.

Memory holds the queries whose records are not complete, those that a later stage than generation refused (they may be
redriven), and of every auction in the log digests in hash tables, 24 to 48 bytes each: three times its id, its
query's id, and those of its charges; of every dead letter one. Of each record that a stage has read and that is over,
one bit is left. That is about 500 bytes an auction with two charges (tests/benchmarks/test_verification_speed.py).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from schemas.auction import CandidatesScored
from schemas.billing import AdvertiserCharged
from schemas.letter import Place, is_redriven
from schemas.record import Record
from schemas.reply import ReplySettled
from workers.audit.lineage import Difference
from workers.audit.log.auction_ids import auction_in, auction_of_query, place_of
from workers.audit.log.dead_letters import Refusal
from workers.audit.log.horizon import Horizon
from workers.audit.log.invariants import Invariant, Report
from workers.audit.log.late_events import LateEvents
from workers.audit.log.offset_set import OffsetSet
from workers.audit.log.ordering import Ordering
from workers.audit.log.plan import CampaignPlan
from workers.audit.log.query import SettledReply, Source, TrackedQuery, content_digest
from workers.audit.log.repeats import Repeats
from workers.audit.log.seen_ids import SeenIds
from workers.audit.log.verdicts import Verdicts
from workers.id_set import KnownIds


@dataclass
class QueryOutcomes:
    """Told of every record once. `finish` judges what is still open."""

    report: Report
    horizon: Horizon
    plan: CampaignPlan | None = None
    _open: dict[str, TrackedQuery] = field(default_factory=dict)  # by auction
    _at: dict[Place, TrackedQuery] = field(default_factory=dict)  # by what a stage has read, or will
    _early: dict[Place, Refusal] = field(default_factory=dict)  # dead letters read before what they refuse
    _auctions: KnownIds = field(default_factory=KnownIds)  # that are over
    _seen: SeenIds = field(default_factory=SeenIds)  # query ids of replies, charges, auctions of the events of stages
    _late: LateEvents = field(init=False)
    _finished: OffsetSet = field(default_factory=OffsetSet)  # what stages have read, of auctions that are over
    _repeats: Repeats = field(init=False)
    _ordering: Ordering = field(init=False)
    _verdicts: Verdicts = field(init=False)

    def __post_init__(self) -> None:
        self._repeats, self._ordering = Repeats(self.report), Ordering(self.report)
        self._verdicts, self._late = Verdicts(self.report, self.horizon, self.plan), LateEvents(self.horizon)

    @property
    def open_queries(self) -> int:
        return len(self._open)

    def query(self, record: Record) -> None:
        """Any record of the query topic."""
        place = place_of(record)
        self._verdicts.queries += 1
        auction_id = auction_of_query(record) or str(place)
        value_sha256 = sha256(record.value or b"").digest() if self.plan else b""
        if auction_id in self._auctions:  # its clock was ahead: the reply was read first
            self._verdicts.query_read_late(auction_id, value_sha256)
            self._differ(f"query {place}", self._late.compare(auction_id, "query", record.value))
            self._read_late(place)
            return
        tracked = self._track(auction_id, record)
        tracked.query, tracked.value_sha256 = Source(place, content_digest(record.key, record.value)), value_sha256
        tracked.lineage.add("query", record.value)
        self._arrived(tracked, tracked.query)

    def generated(self, record: Record) -> None:
        """Any record of the topic of candidates."""
        self._stage_record(record, auction_in(record.value), "query", "generated")

    def scored(self, record: Record, data: CandidatesScored | None) -> None:
        """Any record of the scored topic; `data` is None where nobody can read it."""
        self._stage_record(record, data.auction_id if data else auction_in(record.value), "generated", "scored")

    def _stage_record(self, record: Record, auction_id: str | None, before: str, kind: str) -> None:
        place, again = place_of(record), is_redriven(record)
        if auction_id is not None and self._is_second(auction_id, kind, again):
            self._repeated(kind, record)
            if kind == "generated":  # the scored event may be of this one
                self._join(auction_id, kind, record)
            return
        if auction_id is not None and auction_id in self._auctions:
            self._join(auction_id, kind, record)
            self._read_late(place)
            return
        tracked = self._track(auction_id or str(place), record)
        tracked.foreign = auction_id is None
        if again:
            tracked.letter, tracked.reason = None, ""
        elif (source := getattr(tracked, before)) is not None:
            self._ordering.follows(source.place, record)
        source = Source(place, content_digest(record.key, record.value))
        setattr(tracked, kind, source)
        tracked.lineage.add(kind, record.value)
        self._arrived(tracked, source)

    def _repeated(self, kind: str, record: Record) -> None:
        """Its stage did the work twice. What follows from it is refused, or leads to nothing."""
        place = place_of(record)
        self._repeats.add(kind, place, content_digest(record.key, record.value))
        if (refusal := self._early.pop(place, None)) is not None:
            self._refuse_repeat(place, refusal)

    def _refuse_repeat(self, place: Place, refusal: Refusal) -> None:
        self._repeats.refused(place, refusal)
        self._finished.add(place)

    def _is_second(self, auction_id: str, kind: str, is_redriven: bool) -> bool:
        """Whether the auction has had an event of this kind; one that is redriven may come again."""
        self.report.checked[Invariant.NO_DUPLICATES] += 1
        if not self._seen.again(kind, auction_id):
            return False
        tracked = self._open.get(auction_id)
        return not (is_redriven and tracked is not None and tracked.letter is not None)

    def settled(self, record: Record, data: ReplySettled) -> None:
        """A reply."""
        place, id_ = place_of(record), data.query_id
        self.report.checked[Invariant.NO_DUPLICATES] += 1
        if is_second := self._seen.again("reply", id_):
            self.report.find(Invariant.NO_DUPLICATES, f"query {id_} has a second reply {place}")
        if data.auction_id in self._auctions:
            if not is_second:
                self._wrong_outcome(f"query {id_} has the reply {place} beside its dead letter")
            return
        tracked = self._track(data.auction_id, record)
        if tracked.settled is not None:
            return
        if tracked.letter is not None:
            self._wrong_outcome(f"query {id_} has the reply {place} beside the dead letter {tracked.letter}")
        elif tracked.scored is not None:
            self._ordering.follows(tracked.scored.place, record)
        tracked.settled = SettledReply(place, frozenset(data.charge_ids), data.total_charge_micros, data.currency)
        self._close_if_complete(tracked)

    def charged(self, record: Record, data: AdvertiserCharged) -> None:
        """A charge."""
        place, id_ = place_of(record), data.charge_id
        self.report.checked[Invariant.NO_DUPLICATES] += 1
        if self._seen.again("charge", id_):
            self.report.find(
                Invariant.NO_DUPLICATES, f"charge {id_} of query {data.query_id} is there a second time at {place}"
            )
            return
        if data.auction_id in self._auctions:
            self._wrong_outcome(f"query {data.query_id}: its outcome does not name the charge {id_} at {place}")
            return
        tracked = self._track(data.auction_id, record)
        if tracked.scored is not None:
            self._ordering.follows(tracked.scored.place, record)
        tracked.charges[id_] = data.charge_micros, data.currency
        self._close_if_complete(tracked)

    def refused(self, record: Record, refusal: Refusal) -> None:
        """A dead letter that says which record was refused."""
        if (place := refusal.source) is None or self._repeats.is_refused_again(place, refusal):
            return
        tracked = self._at.get(place)
        if tracked is not None:
            self._ordering.follows(place, record)
            self._refuse(tracked, place, refusal)
            self._close_if_complete(tracked)
        elif place in self._repeats:
            self._ordering.follows(place, record)
            self._refuse_repeat(place, refusal)
        elif place in self._finished and refusal.is_of_forgotten_id:
            self._repeats.forgotten()
        elif place in self._finished or place in self._early:
            self._second_outcome(f"record {place}", refusal)
        elif self.horizon.is_deleted(place):
            self.report.counts[Invariant.POISON_REFUSED]["of records that are deleted"] += 1
        else:
            self._early[place] = refusal

    def _refuse(self, tracked: TrackedQuery, place: Place, refusal: Refusal) -> None:
        if tracked.letter is not None or tracked.settled is not None:
            self._second_outcome(str(tracked), refusal)
        tracked.letter, tracked.reason = tracked.letter or refusal.letter, tracked.reason or refusal.reason
        refusal.compare(self.report, place, next(one.digest for one in tracked.sources if one.place == place))

    def _arrived(self, tracked: TrackedQuery, source: Source) -> None:
        """What a stage reads: its dead letter may be there already."""
        self._at[source.place] = tracked
        if (refusal := self._early.pop(source.place, None)) is not None:
            self._refuse(tracked, source.place, refusal)
        self._close_if_complete(tracked)

    def _track(self, auction_id: str, record: Record) -> TrackedQuery:
        tracked = self._open.setdefault(auction_id, TrackedQuery(auction_id))
        tracked.touch(record)
        return tracked

    def _close_if_complete(self, tracked: TrackedQuery) -> None:
        if tracked.is_complete:
            self._close(tracked, self._verdicts.over)

    def _close(self, tracked: TrackedQuery, judge: Callable[[TrackedQuery], None]) -> None:
        del self._open[tracked.auction_id]
        for source in tracked.sources:
            self._at.pop(source.place, None)
            self._finished.add(source.place)
        self._auctions.add(tracked.auction_id)
        if not tracked.foreign:
            self._differ(str(tracked), tracked.lineage.differences())
            self._late.keep(tracked.auction_id, tracked.lineage, tracked.newest_ms)
        judge(tracked)

    def _join(self, auction_id: str, kind: str, record: Record) -> None:
        """One more event of the auction, which may be over."""
        if auction_id in self._open:
            self._open[auction_id].lineage.add(kind, record.value)
        else:
            self._differ(f"auction {auction_id}", self._late.compare(auction_id, kind, record.value))

    def _differ(self, whose: str, differences: Iterable[Difference]) -> None:
        for difference in differences:
            self.report.find(Invariant.SOURCE_COMPLETE, f"{whose}: {difference}")

    def _read_late(self, place: Place) -> None:
        """A record of an auction that was over before it was read."""
        self._finished.add(place)
        if (refusal := self._early.pop(place, None)) is not None:
            self._second_outcome(f"record {place}", refusal)

    def finish(self) -> None:
        """Judge what is still open."""
        for tracked in list(self._open.values()):
            self._close(tracked, self._verdicts.open)
        for place, refusal in self._early.items():
            said = f"the dead letter {refusal.letter} refuses {place}, and no such record is stored"
            self.report.find(Invariant.POISON_REFUSED, said)
        self._verdicts.finish()
        for auction_id, missing in self._late.finish():
            self._differ(f"auction {auction_id}", [missing])

    def _second_outcome(self, whose: str, refusal: Refusal) -> None:
        self._wrong_outcome(f"{whose} has the dead letter {refusal.letter} ({refusal.reason}) beside another outcome")

    def _wrong_outcome(self, sentence: str) -> None:
        self.report.find(Invariant.ONE_END, sentence)
