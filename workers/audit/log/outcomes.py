"""The end of every query: put together from records in any order, judged when it is complete, and let go.

Memory holds the queries whose end is not complete, those that a later stage than generation refused (such a letter
may be redriven), and of every auction in the log digests in hash tables, 24 to 48 bytes each: three times its id, its
query's id, and those of its charges; of every dead letter one. Of each record that a stage has read and that is over,
one bit is left. With two charges that is about 500 bytes an auction (tests/benchmarks/test_verification_speed.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from schemas.auction import CandidatesScored
from schemas.billing import AdvertiserCharged
from schemas.record import Record
from schemas.reply import ReplySettled
from workers.audit.log.auction_ids import auction_in, auction_of_query, place_of
from workers.audit.log.dead_letters import Refusal
from workers.audit.log.horizon import Place, Scope
from workers.audit.log.invariants import Invariant, Report
from workers.audit.log.offset_set import Marks
from workers.audit.log.ordering import Order
from workers.audit.log.plan import Plan
from workers.audit.log.query import Case, Settled, Source, content_digest
from workers.audit.log.repeats import Repeats
from workers.audit.log.verdicts import Judgement
from workers.id_set import KnownIds
from workers.operations.redrive import REDRIVEN


@dataclass
class Ends:
    """Told of every record once. `finish` judges what is still open."""

    report: Report
    scope: Scope
    plan: Plan | None = None
    _cases: dict[str, Case] = field(default_factory=dict)  # by auction
    _at: dict[Place, Case] = field(default_factory=dict)  # by what a stage has read, or will
    _early: dict[Place, Refusal] = field(default_factory=dict)  # letters that were read before what they refuse
    _auctions: KnownIds = field(default_factory=KnownIds)  # that are over
    _replies: KnownIds = field(default_factory=KnownIds)  # query ids
    _charges: KnownIds = field(default_factory=KnownIds)
    _generated: KnownIds = field(default_factory=KnownIds)  # auctions
    _scored: KnownIds = field(default_factory=KnownIds)  # auctions
    _ended: Marks = field(default_factory=Marks)  # what stages have read, of auctions that are over
    _repeats: Repeats = field(init=False)
    _order: Order = field(init=False)
    _judgement: Judgement = field(init=False)

    def __post_init__(self) -> None:
        self._repeats, self._order = Repeats(self.report), Order(self.report)
        self._judgement = Judgement(self.report, self.scope, self.plan)

    @property
    def open_queries(self) -> int:
        """How many are held in memory whole."""
        return len(self._cases)

    def query(self, record: Record) -> None:
        """Any record of the query topic."""
        place = place_of(record)
        self._judgement.queries += 1
        auction_id = auction_of_query(record) or str(place)
        value_sha256 = sha256(record.value or b"").digest() if self.plan else b""
        if auction_id in self._auctions:  # its clock was ahead: the reply was read first
            self._judgement.asked_late(auction_id, value_sha256)
            self._came_late(place)
            return
        case = self._case(auction_id, record)
        case.query, case.value_sha256 = Source(place, content_digest(record.key, record.value)), value_sha256
        self._arrived(case, case.query)

    def generated(self, record: Record) -> None:
        """Any record of the topic of candidates."""
        self._stage_record(record, auction_in(record.value), "query", "generated")

    def scored(self, record: Record, data: CandidatesScored | None) -> None:
        """Any record of the scored topic; `data` is None where nobody can read it."""
        self._stage_record(record, data.auction_id if data else auction_in(record.value), "generated", "scored")

    def _stage_record(self, record: Record, auction_id: str | None, before: str, kind: str) -> None:
        place = place_of(record)
        is_redriven = any(name == REDRIVEN for name, _ in record.headers)
        if auction_id is not None and self._is_second(auction_id, kind, is_redriven):
            self._came_again(kind, record)
            return
        if auction_id is not None and auction_id in self._auctions:
            self._came_late(place)
            return
        case = self._case(auction_id or str(place), record)
        case.foreign = auction_id is None
        if is_redriven:
            case.letter, case.reason = None, ""
        elif (source := getattr(case, before)) is not None:
            self._order.follows(source.place, record)
        source = Source(place, content_digest(record.key, record.value))
        setattr(case, kind, source)
        self._arrived(case, source)

    def _came_again(self, kind: str, record: Record) -> None:
        """Its stage did the work twice. What follows from it is refused, or leads to nothing."""
        place = place_of(record)
        self._repeats.add(kind, place, content_digest(record.key, record.value))
        if (refusal := self._early.pop(place, None)) is not None:
            self._refuse_repeat(place, refusal)

    def _refuse_repeat(self, place: Place, refusal: Refusal) -> None:
        self._repeats.refused(place, refusal)
        self._ended.add(place)

    def _is_second(self, auction_id: str, kind: str, is_redriven: bool) -> bool:
        """Whether the auction has had an event of this kind; one that is redriven may come again."""
        self.report.checked[Invariant.NO_DUPLICATES] += 1
        known = self._generated if kind == "generated" else self._scored
        case = self._cases.get(auction_id)
        if auction_id in known:
            return not (is_redriven and case is not None and case.letter is not None)
        known.add(auction_id)
        return False

    def settled(self, record: Record, data: ReplySettled) -> None:
        """A reply."""
        place, id_ = place_of(record), data.query_id
        self.report.checked[Invariant.NO_DUPLICATES] += 1
        is_second = id_ in self._replies
        if is_second:
            self._duplicate(f"query {id_} has a second reply {place}")
        self._replies.add(id_)
        if data.auction_id in self._auctions:
            if not is_second:
                self._no_end(f"query {id_} has the reply {place} beside its dead letter")
            return
        case = self._case(data.auction_id, record)
        if case.settled is not None:
            return
        if case.letter is not None:
            self._no_end(f"query {id_} has the reply {place} beside the dead letter {case.letter}")
        elif case.scored is not None:
            self._order.follows(case.scored.place, record)
        case.settled = Settled(place, frozenset(data.charge_ids), data.total_charge_micros, data.currency)
        self._close_if_over(case)

    def charged(self, record: Record, data: AdvertiserCharged) -> None:
        """A charge."""
        place, id_ = place_of(record), data.charge_id
        self.report.checked[Invariant.NO_DUPLICATES] += 1
        if id_ in self._charges:
            self._duplicate(f"charge {id_} of query {data.query_id} is there a second time at {place}")
            return
        self._charges.add(id_)
        if data.auction_id in self._auctions:
            self._no_end(f"query {data.query_id}: its end does not name the charge {id_} at {place}")
            return
        case = self._case(data.auction_id, record)
        if case.scored is not None:
            self._order.follows(case.scored.place, record)
        case.charges[id_] = data.charge_micros, data.currency
        self._close_if_over(case)

    def refused(self, record: Record, refusal: Refusal) -> None:
        """A dead letter that says which record was refused."""
        if (place := refusal.source) is None or self._repeats.is_refused_again(place, refusal):
            return
        case = self._at.get(place)
        if case is not None:
            self._order.follows(place, record)
            self._refuse(case, place, refusal)
            self._close_if_over(case)
        elif place in self._repeats:
            self._order.follows(place, record)
            self._refuse_repeat(place, refusal)
        elif place in self._ended and refusal.is_of_forgotten_id:
            self._repeats.forgotten()
        elif place in self._ended or place in self._early:
            self._two_ends(f"record {place}", refusal)
        elif self.scope.is_deleted(place):
            self.report.counts[Invariant.POISON_REFUSED]["of records that are deleted"] += 1
        else:
            self._early[place] = refusal

    def _refuse(self, case: Case, place: Place, refusal: Refusal) -> None:
        if case.letter is not None or case.settled is not None:
            self._two_ends(str(case), refusal)
        case.letter, case.reason = case.letter or refusal.letter, case.reason or refusal.reason
        source = next(one for one in case.sources if one.place == place)
        refusal.compare(self.report, place, source.digest)

    def _arrived(self, case: Case, source: Source) -> None:
        """What a stage reads: its letter may be there already."""
        self._at[source.place] = case
        if (refusal := self._early.pop(source.place, None)) is not None:
            self._refuse(case, source.place, refusal)
        self._close_if_over(case)

    def _case(self, auction_id: str, record: Record) -> Case:
        case = self._cases.get(auction_id)
        if case is None:
            case = self._cases[auction_id] = Case(auction_id)
        case.touch(record)
        return case

    def _close_if_over(self, case: Case) -> None:
        if case.is_over:
            self._close(case, self._judgement.over)

    def _close(self, case: Case, judge: Callable[[Case], None]) -> None:
        del self._cases[case.auction_id]
        for source in case.sources:
            self._at.pop(source.place, None)
            self._ended.add(source.place)
        self._auctions.add(case.auction_id)
        judge(case)

    def _came_late(self, place: Place) -> None:
        """A record of an auction that was over before it was read."""
        self._ended.add(place)
        if (refusal := self._early.pop(place, None)) is not None:
            self._two_ends(f"record {place}", refusal)

    def finish(self) -> None:
        """Judge what is still open."""
        for case in list(self._cases.values()):
            self._close(case, self._judgement.open)
        for place, refusal in self._early.items():
            said = f"the dead letter {refusal.letter} refuses {place}, and no such record is stored"
            self.report.find(Invariant.POISON_REFUSED, said)
        self._judgement.finish()

    def _two_ends(self, whose: str, refusal: Refusal) -> None:
        self._no_end(f"{whose} has the dead letter {refusal.letter} ({refusal.reason}) beside another end")

    def _no_end(self, sentence: str) -> None:
        self.report.find(Invariant.ONE_END, sentence)

    def _duplicate(self, sentence: str) -> None:
        self.report.find(Invariant.NO_DUPLICATES, sentence)
