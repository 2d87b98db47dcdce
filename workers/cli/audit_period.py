"""What of the topics `tessera audit` audits: all, a period, or what is new since the last run."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click

from schemas.topics import CHARGED, SETTLED
from workers.audit.completeness import Completeness
from workers.audit.findings import Kind, Tally
from workers.cli.audit_state import AuditState, read_state
from workers.cli.documents import require_writable
from workers.receipts.statement import Period

MILLISECONDS = 1_000

state_option = click.option(
    "--state",
    "state_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Go on where the last run with this FILE ended, and write there how far this one came.",
)


@dataclass(frozen=True, slots=True)
class AuditPeriod:
    """Auctions belong to the period in which their last record was taken. `began_s`: when this run did, since 1970."""

    began_s: float
    grace_s: float
    limits: Period
    state_file: Path | None = None
    state: AuditState = field(default_factory=AuditState)

    def completeness(self) -> Completeness:
        """What Kafka's log can be held to in this period."""
        begin, end = self._ms(self.limits.begin), self._ms(self.limits.end)
        settled_from, billed_from = (
            max(begin or 0, int((self.began_s - topic.retention.total_seconds()) * MILLISECONDS))
            for topic in (SETTLED, CHARGED)
        )
        complete_until = int((self.began_s - self.grace_s) * MILLISECONDS)
        if end is not None:
            complete_until = min(complete_until, end - 1)
        return Completeness(settled_from, complete_until, billed_from, begin or 0, end)

    def keep(self, waiting_since_ms: int | None, tally: Tally) -> None:
        """How far this run came, for the next one; an auction whose reply is missing counts once that is there."""
        if self.state_file is not None and self.limits.end is not None:
            ended = tally.notes["auctions"] - tally.kinds[Kind.MISSING_TERMINAL]
            self.state.after(self.limits.end, waiting_since_ms, ended, tally.discrepancies).write(self.state_file)

    @staticmethod
    def _ms(at: datetime | None) -> int | None:
        return None if at is None else int(at.timestamp() * MILLISECONDS)


def audit_period(began_s: float, grace_s: float, limits: Period, state_file: Path | None) -> AuditPeriod:
    """The period that the options mean. UsageError, TesseraError: they do not go together, or the file is none."""
    if state_file is None:
        return AuditPeriod(began_s, grace_s, limits)
    if limits != Period():
        raise click.UsageError("--state goes on where the last run ended: it goes without --from and --to")
    require_writable(state_file)
    state = read_state(state_file)
    complete = datetime.fromtimestamp(int((began_s - grace_s) * MILLISECONDS) / MILLISECONDS, UTC)
    return AuditPeriod(began_s, grace_s, Period(state.until, max(complete, state.until or complete)), state_file, state)
