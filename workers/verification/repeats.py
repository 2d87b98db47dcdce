"""Records of auctions that their stage had published before: waste, which is counted, as nobody is billed for it."""

from dataclasses import dataclass, field

from workers.verification.invariants import Invariant, Report
from workers.verification.refusals import Refusal
from workers.verification.scope import Place


@dataclass
class Repeats:
    """Memory holds a digest of each repeated record until its dead letter is read; not all of them have one."""

    report: Report
    _waiting: dict[Place, bytes] = field(default_factory=dict)

    def add(self, kind: str, place: Place, digest: bytes) -> None:
        """A record of its auction's second event of this kind: generated or scored."""
        self._count(f"{kind} again")
        self._waiting[place] = digest

    def __contains__(self, place: Place) -> bool:
        """Whether the record there may still be refused."""
        return place in self._waiting

    def refused(self, place: Place, refusal: Refusal) -> None:
        """The dead letter of such a record."""
        self._count("repeats refused")
        refusal.compare(self.report, place, self._waiting.pop(place))

    def forgotten(self) -> None:
        """The dead letter of a record that had its end so long ago that settlement could not know of it."""
        self._count("refused as too old")

    def _count(self, what: str) -> None:
        self.report.counts[Invariant.NO_DUPLICATES][what] += 1
