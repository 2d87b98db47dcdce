"""What became of each query id, at any distance: it is settled once, and refused as used before only if it was."""

import json
from dataclasses import dataclass, field

from schemas.auction import CandidatesScored
from schemas.reply import ReplySettled
from workers.audit.completeness import Completeness
from workers.audit.disk_map import DiskMap
from workers.audit.entries import LogEntry
from workers.audit.findings import Check, Finding, Kind, Tally

DAY_MS = 24 * 60 * 60 * 1_000


@dataclass
class QueryUses:
    """Told of every reply and of every scored event that was refused as DUPLICATE_QUERY, in any order.

    Memory is bounded, as both are kept by query id in maps on disk.
    """

    tally: Tally
    completeness: Completeness | None
    _settled: DiskMap = field(default_factory=DiskMap)  # the auction whose reply the query id had first
    _refused: DiskMap = field(default_factory=DiskMap)  # of ids without a reply so far: auction, digest, when
    _first_reply_at: int | None = None

    def settled(self, reply: ReplySettled, entry: LogEntry) -> None:
        """The first reply of an auction."""
        self._first_reply_at = entry.at if self._first_reply_at is None else min(self._first_reply_at, entry.at)
        self._refused.remove(reply.query_id)
        by = self._settled.get(reply.query_id)
        if by is None:
            self._settled.put(reply.query_id, reply.auction_id)
        elif by != reply.auction_id:
            what, right = "a reply to a query id that had one", f"only that of auction {by}"
            self._find(Kind.REUSED_QUERY, reply.query_id, reply.auction_id, what, entry.sha256, right)

    def refused(self, scored: CandidatesScored, entry: LogEntry) -> None:
        """A scored event whose dead letter says that its query id was used before."""
        if self._settled.get(scored.query_id) is None:
            self._refused.put(scored.query_id, json.dumps([scored.auction_id, entry.sha256, entry.at]))

    def finish(self) -> None:
        """Judge the ids that were refused as used, and had no reply."""
        for query_id, text in self._refused.items():
            auction_id, digest, at = json.loads(text)
            if self._may_be_deleted:
                self.tally.unverifiable[Check.TERMINALS] += 1
            elif self.completeness is None or at <= self.completeness.complete_until:
                what, right = "a dead letter, DUPLICATE_QUERY", "a reply to that query id, which there is none of"
                self.tally.checked[Check.TERMINALS] += 1
                self._find(Kind.DUPLICATE_OF_NOTHING, query_id, auction_id, what, digest, right)

    def close(self) -> None:
        """Let go of the temporary files."""
        self._settled.close()
        self._refused.close()

    @property
    def _may_be_deleted(self) -> bool:
        """Whether the log is so old that retention may have deleted replies."""
        if self.completeness is None or self._first_reply_at is None:
            return False
        return self._first_reply_at < self.completeness.settled_from + DAY_MS

    def _find(self, kind: Kind, query_id: str, auction_id: str, what: str, logged: str, right: str) -> None:
        self.tally.find(Finding(kind, query_id, auction_id, what, logged, right))
