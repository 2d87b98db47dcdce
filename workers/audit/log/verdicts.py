"""What becomes of a query in the end: settled, refused, under way, past retention, or lost. And do its sums agree?"""

from collections import Counter
from dataclasses import dataclass, field

from schemas.payload import MAX_ADVERTISERS
from schemas.topics import QUERIES
from workers.audit.log.horizon import Horizon
from workers.audit.log.invariants import Invariant, Report
from workers.audit.log.plan import SETTLED, CampaignPlan
from workers.audit.log.query import TrackedQuery

LARGEST_MICROS = MAX_ADVERTISERS * 10**15


def check_sums(report: Report, tracked: TrackedQuery) -> None:
    """Each currency for itself: only the reply's may have charges, and they add up to the reply's total."""
    if tracked.settled is None:
        return
    sums: dict[str, int] = {tracked.settled.currency: 0}
    for charge_id, (micros, currency) in tracked.charges.items():
        sums[currency] = sums.get(currency, 0) + micros
        if not 0 <= micros <= LARGEST_MICROS:
            report.find(Invariant.SUMS_AGREE, f"{tracked}: charge {charge_id} is {micros} micros")
    report.checked[Invariant.SUMS_AGREE] += 1
    for currency, micros in sums.items():
        report.counts[Invariant.SUMS_AGREE][f"micros {currency}"] += micros
        said = tracked.settled.total_micros if currency == tracked.settled.currency else 0
        if micros != said:
            report.find(
                Invariant.SUMS_AGREE, f"{tracked}: its reply says {said} micros {currency}, its charges are {micros}"
            )


OUTCOMES = ("settled", "refused", "under way", "lost")  # of stored queries; each has one


@dataclass
class Verdicts:
    """Told of each query when its records are complete. Memory holds auctions that were complete before their query."""

    report: Report
    horizon: Horizon
    plan: CampaignPlan | None = None
    queries: int = 0
    _finished: Counter[str] = field(default_factory=Counter)  # stored queries, by outcome
    _without_query: dict[str, str] = field(default_factory=dict)  # auction -> what it is, if its query must be stored

    def over(self, tracked: TrackedQuery) -> None:
        """All records of the query are there."""
        self.report.checked[Invariant.ONE_END] += 1
        if tracked.settled is not None:
            check_sums(self.report, tracked)
            for charge_id in tracked.charges.keys() - tracked.settled.charge_ids:
                self._wrong_outcome(f"{tracked}: its reply does not name the charge {charge_id}")
        self._count(tracked, "settled" if tracked.settled is not None else "refused")
        if self.plan and tracked.query:
            self.plan.ended(tracked.value_sha256, SETTLED if tracked.settled is not None else tracked.reason)

    def open(self, tracked: TrackedQuery) -> None:
        """The log is read to its end, and this is all there is of the query."""
        if tracked.letter is not None:
            self.over(tracked)
        elif self._is_under_way(tracked):
            self._under_way(tracked)
        elif tracked.settled is not None and not tracked.missing_charges:
            self._unscored(tracked)
        elif tracked.newest_ms < self.horizon.settled_from_ms:
            self.report.counts[Invariant.ONE_END]["past retention"] += 1
        else:
            self.report.checked[Invariant.ONE_END] += 1
            self._count(tracked, "lost")
            self._wrong_outcome(f"{tracked} {_what_is_missing(tracked)}")

    def query_read_late(self, auction_id: str, value_sha256: bytes) -> None:
        """The query of an auction that was settled, read after its reply."""
        self._without_query.pop(auction_id, None)
        self._finished["settled"] += 1
        if self.plan:
            self.plan.ended(value_sha256, SETTLED)

    def finish(self) -> None:
        """What the source holds, against what was found of it."""
        report = self.report
        for outcome in OUTCOMES:
            report.counts[Invariant.ONE_END][outcome] = self._finished[outcome]
        report.counts[Invariant.SOURCE_COMPLETE]["stored"] = self.queries
        report.checked[Invariant.SOURCE_COMPLETE] += self.queries
        for what in self._without_query.values():
            report.find(Invariant.SOURCE_COMPLETE, f"{what} has no query record")
        if self._finished.total() != self.queries:
            said = f"{self.queries} queries are stored, and {self._finished.total()} were followed to an end"
            report.find(Invariant.SOURCE_COMPLETE, said)
        if self.plan:
            self.plan.judge(report, self.queries)

    def _is_under_way(self, tracked: TrackedQuery) -> bool:
        if tracked.newest_ms >= self.horizon.in_flight_from_ms:
            return True
        return bool(tracked.sources) and self.horizon.is_unread(tracked.sources[0].place)

    def _under_way(self, tracked: TrackedQuery) -> None:
        self._count(tracked, "under way")
        if self.horizon.complete:
            self.report.checked[Invariant.ONE_END] += 1
            self._wrong_outcome(f"{tracked} is still under way: {_what_is_missing(tracked)}")

    def _unscored(self, tracked: TrackedQuery) -> None:
        """A reply with all its charges, and nothing to recompute it from."""
        if tracked.newest_ms < self.horizon.settled_from_ms:
            self.report.counts[Invariant.ONE_END]["past retention"] += 1
            return
        said = f"{tracked} is settled, and its scored event is not stored: there is nothing to recompute it from"
        self.report.find(Invariant.BILLS_RECOMPUTED, said)
        self.over(tracked)

    def _count(self, tracked: TrackedQuery, outcome: str) -> None:
        if tracked.query is not None:
            self._finished[outcome] += 1
        elif not tracked.foreign and self.horizon.must_hold(QUERIES.name, tracked.newest_ms):
            self._without_query[tracked.auction_id] = f"auction {tracked.auction_id}"

    def _wrong_outcome(self, sentence: str) -> None:
        self.report.find(Invariant.ONE_END, sentence)


def _what_is_missing(tracked: TrackedQuery) -> str:
    if tracked.settled is not None:
        named, missing = len(tracked.settled.charge_ids), sorted(tracked.missing_charges)
        return f"has a reply without {len(missing)} of the {named} charges that it names; the first is {missing[0]}"
    if tracked.charges:
        return f"has {len(tracked.charges)} charges and no reply"
    stage = "scored" if tracked.scored else "generated" if tracked.generated else "submitted"
    return f"is {stage}, was read, and has neither a reply nor a dead letter"
