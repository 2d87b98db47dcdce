"""Which auctions are looked at: a choice that anybody can repeat, and that nobody could foresee who wrote the log."""

import heapq
from dataclasses import dataclass, field

from schemas.auction import CandidatesScored
from schemas.identity import derive

RULE = "the scored events with the smallest SHA-256 of `15:audit-sample-v1,`, the sample's name and their own digest"


@dataclass
class AuctionSample:
    """The `count` scored events of smallest rank among those with candidates; memory holds so many.

    `name`: chosen by the auditor when the log is written; another one gives another sample. A sample of fewer is the
    beginning of one of more.
    """

    count: int
    name: str
    _heap: list[tuple[int, str, CandidatesScored]] = field(default_factory=list)  # by rank, the largest first
    _digests: set[str] = field(default_factory=set)

    def offer(self, scored: CandidatesScored, digest: str) -> None:
        """A scored event; `digest`: SHA-256 of its value. One that comes again is the same one."""
        if not scored.candidates or digest in self._digests:
            return
        heapq.heappush(self._heap, (-self._rank(digest), digest, scored))
        self._digests.add(digest)
        if len(self._heap) > self.count:
            self._digests.discard(heapq.heappop(self._heap)[1])

    def chosen(self) -> list[CandidatesScored]:
        """The sample, the smallest rank first."""
        return [scored for _, _, scored in sorted(self._heap, key=lambda one: -one[0])]

    def _rank(self, digest: str) -> int:
        return int(derive("audit-sample-v1", self.name, digest), 16)
