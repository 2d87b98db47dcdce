"""What Kafka promised against what it kept: offsets and records of acknowledged transactions, compared."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

COPIES = 2  # records per transaction


@dataclass(frozen=True, order=True)
class ProbeRecord:
    """One record: of which id, of its how-manieth transaction, and which of the transaction's records."""

    id: int
    transaction: int
    copy: int


@dataclass(frozen=True)
class Comparison:
    """What is wrong. `lost_offsets`: (id, the offset that was acknowledged and is not there)."""

    lost_offsets: frozenset[tuple[int, int]] = frozenset()
    lost_records: frozenset[ProbeRecord] = frozenset()
    doubled_records: frozenset[ProbeRecord] = frozenset()

    def __or__(self, other: "Comparison") -> "Comparison":
        """Everything that either of them found."""
        return Comparison(
            self.lost_offsets | other.lost_offsets,
            self.lost_records | other.lost_records,
            self.doubled_records | other.doubled_records,
        )


def compare(
    acknowledged: Mapping[int, Set[int]], committed: Mapping[int, int], visible: Mapping[ProbeRecord, int]
) -> Comparison:
    """Compare after every id was initialised anew: no transaction is open, so everything is decided.

    acknowledged: per id the numbers of the transactions whose commit was answered; committed: per id the offset read
    back, which is one more than the number of its last transaction; visible: how often a reader of committed records
    sees each record. A transaction that was never answered may be there or not, but with its offset or without it.
    """
    promised = {
        ProbeRecord(id_, number, copy)
        for id_, numbers in acknowledged.items()
        for number in (*numbers, *range(committed[id_]))
        for copy in range(COPIES)
    }
    return Comparison(
        lost_offsets=frozenset(
            (id_, max(numbers) + 1)
            for id_, numbers in acknowledged.items()
            if numbers and committed[id_] < max(numbers) + 1
        ),
        lost_records=frozenset(record for record in promised if not visible.get(record)),
        doubled_records=frozenset(record for record, times in visible.items() if times > 1),
    )


@dataclass(frozen=True)
class Round:
    """One kill and restart. Counts are of this round; `found` is what the comparison after the restart says."""

    number: int
    transactions: int
    unanswered: int
    restart_s: float
    skipped_markers: int
    found: Comparison


@dataclass(frozen=True)
class ProbeReport:
    """All rounds, and a last comparison after each id has committed once more: what was hidden shows up then."""

    kafka_version: str
    ids: int
    rounds: tuple[Round, ...]
    at_the_end: Comparison

    @property
    def found(self) -> Comparison:
        """What any of the comparisons found."""
        found = self.at_the_end
        for one in self.rounds:
            found |= one.found
        return found

    @property
    def skipped_markers(self) -> int:
        """How often the broker's log says that it gave a marker up."""
        return sum(one.skipped_markers for one in self.rounds)

    @property
    def clean(self) -> bool:
        """No marker was lost, and nothing else."""
        return self.found == Comparison() and not self.skipped_markers
