"""What becomes of a query in the end: settled, refused, under way, past retention, or lost."""

from collections import Counter
from dataclasses import dataclass, field

from workers.audit.log.horizon import Scope
from workers.audit.log.invariants import Invariant, Report
from workers.audit.log.plan import SETTLED, Plan
from workers.audit.log.query import Case
from workers.audit.log.sums import check_sums

OUTCOMES = ("settled", "refused", "under way", "lost")  # of stored queries; each has one


@dataclass
class Judgement:
    """Told of each case when it closes. Memory holds the auctions that closed before their query was read."""

    report: Report
    scope: Scope
    plan: Plan | None = None
    queries: int = 0
    _ended: Counter[str] = field(default_factory=Counter)  # stored queries, by outcome
    _unasked: dict[str, str] = field(default_factory=dict)  # auction -> what it is, if its query must be stored

    def over(self, case: Case) -> None:
        """The case is complete."""
        self.report.checked[Invariant.ONE_END] += 1
        if case.settled is not None:
            check_sums(self.report, case)
            for charge_id in case.charges.keys() - case.settled.charge_ids:
                self._no_end(f"{case}: its reply does not name the charge {charge_id}")
        self._count(case, "settled" if case.settled is not None else "refused")
        if self.plan and case.query:
            self.plan.ended(case.value_sha256, SETTLED if case.settled is not None else case.reason)

    def open(self, case: Case) -> None:
        """The log is read to its end, and this is all there is of the case."""
        if case.letter is not None:
            self.over(case)
        elif self._is_under_way(case):
            self._under_way(case)
        elif case.settled is not None and not case.missing_charges:
            self._unscored(case)
        elif case.newest_ms < self.scope.settled_from_ms:
            self.report.counts[Invariant.ONE_END]["past retention"] += 1
        else:
            self.report.checked[Invariant.ONE_END] += 1
            self._count(case, "lost")
            self._no_end(f"{case} {_what_is_missing(case)}")

    def asked_late(self, auction_id: str, value_sha256: bytes) -> None:
        """The query of an auction that was settled, read after its reply."""
        self._unasked.pop(auction_id, None)
        self._ended["settled"] += 1
        if self.plan:
            self.plan.ended(value_sha256, SETTLED)

    def finish(self) -> None:
        """What the source holds, against what was found of it."""
        report = self.report
        for outcome in OUTCOMES:
            report.counts[Invariant.ONE_END][outcome] = self._ended[outcome]
        report.counts[Invariant.SOURCE_COMPLETE]["stored"] = self.queries
        report.checked[Invariant.SOURCE_COMPLETE] += self.queries
        for what in self._unasked.values():
            report.find(Invariant.SOURCE_COMPLETE, f"{what} has no query record")
        if self._ended.total() != self.queries:
            said = f"{self.queries} queries are stored, and {self._ended.total()} were followed to an end"
            report.find(Invariant.SOURCE_COMPLETE, said)
        if self.plan:
            self.plan.judge(report, self.queries)

    def _is_under_way(self, case: Case) -> bool:
        if case.newest_ms >= self.scope.young_from_ms:
            return True
        return bool(case.sources) and self.scope.is_unread(case.sources[0].place)

    def _under_way(self, case: Case) -> None:
        self._count(case, "under way")
        if self.scope.complete:
            self.report.checked[Invariant.ONE_END] += 1
            self._no_end(f"{case} is still under way: {_what_is_missing(case)}")

    def _unscored(self, case: Case) -> None:
        """A reply with all its charges, and nothing to recompute it from."""
        if case.newest_ms < self.scope.settled_from_ms:
            self.report.counts[Invariant.ONE_END]["past retention"] += 1
            return
        said = f"{case} is settled, and its scored event is not stored: there is nothing to recompute it from"
        self.report.find(Invariant.BILLS_RECOMPUTED, said)
        self.over(case)

    def _count(self, case: Case, outcome: str) -> None:
        if case.query is not None:
            self._ended[outcome] += 1
        elif not case.foreign and self._must_be_asked(case):
            self._unasked[case.auction_id] = f"auction {case.auction_id}"

    def _must_be_asked(self, case: Case) -> bool:
        """Whether its query cannot have been deleted, nor be newer than the end that was read to."""
        kept = not self.scope.lost_queries or case.newest_ms >= self.scope.queried_from_ms
        return kept and case.newest_ms < self.scope.young_from_ms

    def _no_end(self, sentence: str) -> None:
        self.report.find(Invariant.ONE_END, sentence)


def _what_is_missing(case: Case) -> str:
    if case.settled is not None:
        named, missing = len(case.settled.charge_ids), sorted(case.missing_charges)
        return f"has a reply without {len(missing)} of the {named} charges that it names; the first is {missing[0]}"
    if case.charges:
        return f"has {len(case.charges)} charges and no reply"
    stage = "scored" if case.scored else "generated" if case.generated else "submitted"
    return f"is {stage}, was read, and has neither a reply nor a dead letter"
