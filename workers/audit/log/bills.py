"""Invariants 3, 4 and 6 from the audit: each kind of discrepancy under its number, once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from schemas.payload import BadRecord, Payload, UnknownValue
from schemas.record import Record
from schemas.topics import SCORED
from workers.audit import findings as audited
from workers.audit.auditor import Audit
from workers.audit.completeness import Completeness
from workers.audit.entries import read_record
from workers.audit.findings import CHECK_OF, Finding, Kind
from workers.audit.log.horizon import Horizon
from workers.audit.log.invariants import Invariant, Report
from workers.errors import TesseraError

#: What `outcomes.py` counts itself, over all topics and not only those that an audit reads.
ELSEWHERE = frozenset(
    {
        Kind.MISSING_TERMINAL,
        Kind.SECOND_TERMINAL,
        Kind.UNKNOWN_AUCTION,
        Kind.SECOND_SCORED,
        Kind.REUSED_QUERY,
        Kind.MISSING_CHARGE,  # where the reply does not name it, its list of charges is wrong, which is found as well
        Kind.DOUBLE_CHARGE,
        Kind.EXTRA_CHARGE,  # likewise
        Kind.WRONG_TOTAL,
    }
)
SUMS = frozenset({Kind.ABOVE_BOUND, Kind.WRONG_BOUND, Kind.WRONG_CURRENCY})
DRAWS = frozenset({Kind.WRONG_REPLY})  # the text is not that of the winner
DRAWN = (audited.Check.DRAWS, audited.Check.COMMITMENTS, audited.Check.SEEDS, audited.Check.SEED_COMMITMENTS)
NUMBERS = MappingProxyType(
    {
        **{kind: Invariant.BILLS_RECOMPUTED for kind in Kind},
        **{kind: Invariant.SUMS_AGREE for kind in SUMS},
        **{kind: Invariant.DRAWS_RECOMPUTED for kind in Kind if kind in DRAWS or CHECK_OF[kind] in DRAWN},
        Kind.UNREADABLE_RECORD: Invariant.SOURCE_COMPLETE,
        Kind.DUPLICATE_OF_NOTHING: Invariant.ONE_END,
    }
)


@dataclass
class RecomputedBills:
    """An audit over the same records. `secrets`: of the draw, if known."""

    report: Report
    horizon: Horizon
    secrets: Sequence[bytes]
    _audit: Audit = field(init=False)

    def __post_init__(self) -> None:
        horizon = Completeness(self.horizon.settled_from_ms, self.horizon.in_flight_from_ms)
        self._audit = Audit(self._keep, self.secrets, horizon)

    def add(self, record: Record) -> Payload | None:
        """Take the record in; its event, or None for one that cannot be read or that an audit passes over."""
        try:
            entry = read_record(record)
        except UnknownValue as error:
            where = record.place
            raise TesseraError(f"{where}: {error}: verify it with the release that wrote it, or a newer one") from None
        except BadRecord as error:
            if record.topic != SCORED.name:  # there a stranger may write, and settlement refuses it
                self._audit.unreadable(record.place, f"{error.reason.name}: {error}")
            return None
        if entry is None:
            return None
        self._audit.add(entry)
        return None if entry.refusal else entry.data

    def finish(self) -> None:
        tally = self._audit.finish()
        self._audit.close()
        report, auctions = self.report, tally.notes["auctions"]
        report.checked[Invariant.BILLS_RECOMPUTED] += auctions
        report.counts[Invariant.BILLS_RECOMPUTED]["auctions"] = auctions
        report.counts[Invariant.BILLS_RECOMPUTED]["bills"] = tally.checked[audited.Check.CHARGES]
        draws = audited.Check.DRAWS
        report.checked[Invariant.DRAWS_RECOMPUTED] += tally.checked[draws]
        report.counts[Invariant.DRAWS_RECOMPUTED]["draws"] = tally.checked[draws]
        if unknown := tally.unverifiable[draws]:
            self.report.not_checked(
                Invariant.DRAWS_RECOMPUTED,
                f"{unknown} draws under keys that are neither revealed nor given (TESSERA_DRAW_KEY)",
            )

    def close(self) -> None:
        """Let go of the audit's temporary file."""
        self._audit.close()

    def _keep(self, finding: Finding) -> None:
        if finding.kind not in ELSEWHERE:
            self.report.find(NUMBERS[finding.kind], f"{finding.kind}: {finding.sentence}")
