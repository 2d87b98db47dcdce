"""`tessera audit --state FILE`: how far audits of the topics have come, so that the next one goes on there."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from schemas.moments import read_moment
from workers.cli.documents import write_whole
from workers.errors import TesseraError

FORMAT = 1
#: A scored event without a reply is read again for so long: after an outage its reply may still come.
WAITED_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AuditState:
    """`until`: all auctions that were complete before are audited. `since`: the next run reads from there on.

    `auctions` and `discrepancies`: of all runs so far.
    """

    until: datetime | None = None
    since: datetime | None = None
    runs: int = 0
    auctions: int = 0
    discrepancies: int = 0

    def after(self, until: datetime, waiting_since_ms: int | None, auctions: int, discrepancies: int) -> "AuditState":
        """Behind one more run. `waiting_since_ms`: the oldest scored event that has no reply; None: there is none."""
        since = until
        if waiting_since_ms is not None:
            since = max(until - WAITED_FOR, min(until, datetime.fromtimestamp(waiting_since_ms / 1_000, UTC)))
        sums = {"auctions": self.auctions + auctions, "discrepancies": self.discrepancies + discrepancies}
        return replace(self, until=until, since=since, runs=self.runs + 1, **sums)

    def write(self, path: Path) -> None:
        """All of it or nothing."""
        moments = {"until": self.until and self.until.isoformat(), "since": self.since and self.since.isoformat()}
        write_whole(path, json.dumps({"format": FORMAT, **asdict(self), **moments}, indent=1) + "\n")


def read_state(path: Path) -> AuditState:
    """The file's; without a file, that before the first run. TesseraError: the file is none of these."""
    if not path.exists():
        return AuditState()
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told.pop("format") != FORMAT:
            raise TesseraError(f"{path} is of a newer release: go on with that one, or begin anew with another file")
        until, since = (read_moment(told[name]) for name in ("until", "since"))
        return AuditState(until, since, *(int(told[name]) for name in ("runs", "auctions", "discrepancies")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise TesseraError(
            f"{path} is no file that `tessera audit --state` wrote; begin anew with another one"
        ) from None
