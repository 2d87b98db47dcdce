"""What a stage has done again after its position went back: counted, and no violation, as nobody is billed for it.

That is an event of an auction that had one of its kind, and a dead letter like one that its record had before.
"""

from dataclasses import dataclass, field

from schemas.letter import Place
from workers.audit.log.dead_letters import Refusal
from workers.audit.log.invariants import Invariant, Report
from workers.id_set import KnownIds


@dataclass
class Repeats:
    """Memory holds a digest of each repeated record until its dead letter is read; not all of them have one.

    And of each dead letter one in a hash table, 24 to 48 bytes, as its record may be refused again at any time.
    """

    report: Report
    _waiting: dict[Place, bytes] = field(default_factory=dict)
    _letters: KnownIds = field(default_factory=KnownIds)  # place, reason and content of what each refuses

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

    def is_refused_again(self, place: Place, refusal: Refusal) -> bool:
        """Whether an earlier dead letter said the same: this record, these bytes, this reason. That is counted."""
        said = f"{place} {refusal.digest.hex()} {refusal.reason}"
        if is_again := said in self._letters:
            self._count("refused again")
        self._letters.add(said)
        return is_again

    def _count(self, what: str) -> None:
        self.report.counts[Invariant.NO_DUPLICATES][what] += 1
