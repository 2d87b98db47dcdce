"""A verification from its first record to its report."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.auction import CandidatesScored
from schemas.billing import AdvertiserCharged
from schemas.record import Record
from schemas.reply import ReplySettled
from schemas.topics import DEAD_LETTERS, GENERATED, QUERIES, SCORED
from workers.audit.entries import NAMES as AUDITED
from workers.audit.log.bills import RecomputedBills
from workers.audit.log.dead_letters import read_refusal
from workers.audit.log.horizon import Horizon
from workers.audit.log.invariants import Invariant, Report
from workers.audit.log.outcomes import QueryOutcomes
from workers.audit.log.plan import CampaignPlan
from workers.audit.log.witness import Witness


@dataclass
class Verification:
    """Committed records of `reading.NAMES` in, findings into the report: invariants 1 to 7, 9 and 12.

    Records of a partition in their order; between partitions in any, but memory grows with what lies far apart.
    `secrets`: of the draw, if known.
    """

    report: Report
    horizon: Horizon
    secrets: Sequence[bytes] = ()
    plan: CampaignPlan | None = None
    witness: Witness | None = None
    _outcomes: QueryOutcomes = field(init=False)
    _bills: RecomputedBills = field(init=False)

    def __post_init__(self) -> None:
        self._outcomes = QueryOutcomes(self.report, self.horizon, self.plan)
        self._bills = RecomputedBills(self.report, self.horizon, self.secrets)

    @property
    def open_queries(self) -> int:
        return self._outcomes.open_queries

    def add(self, record: Record) -> None:
        """Take in the next record."""
        if self.witness is not None:
            self.witness.compare(self.report, record)
        if record.topic == QUERIES.name:
            self._outcomes.query(record)
        elif record.topic == GENERATED.name:
            self._outcomes.generated(record)
        else:
            self._add_read(record)

    def _add_read(self, record: Record) -> None:
        """A record that the audit reads as well; it is decoded once."""
        data = self._bills.add(record) if record.topic in AUDITED else None
        if record.topic in DEAD_LETTERS:
            self._outcomes.refused(record, read_refusal(record, self.report))
        elif record.topic == SCORED.name:
            self._outcomes.scored(record, data if isinstance(data, CandidatesScored) else None)
        elif isinstance(data, ReplySettled):
            self._outcomes.settled(record, data)
        elif isinstance(data, AdvertiserCharged):
            self._outcomes.charged(record, data)

    def finish(self) -> None:
        """Judge what is still open; nothing can be added afterwards."""
        self._bills.finish()
        self._outcomes.finish()
        self.report.not_checked(
            Invariant.LEDGER_FOLDED,
            "no topic holds accounts: `tessera balance` folds them from the bills when it is asked",
        )
        if self.witness is None:
            self.report.not_checked(Invariant.SAME_SEQUENCE, "no witness was given: only the order was checked")
        else:
            self.witness.finish(self.report, self.horizon)
        if self.plan is None:
            self.report.not_checked(Invariant.POISON_REFUSED, "no plan was given: reasons were not expected")

    def close(self) -> None:
        """Let go of temporary files."""
        self._bills.close()
