"""Ordering per key: settlement publishes what it makes of one input partition in the order of that partition.

What is promised, and checked: for every pair of a scored partition and a partition that settlement writes, the outputs
lie in the order of the scored events they follow from. Records of one key share a partition of each topic keyed by the
query. On the billing topic, keyed by the advertiser, order holds among the bills that follow from one scored partition;
bills of an advertiser that come from two of them have no order that was promised. Generation and scoring publish what
is finished first, first.
"""

from dataclasses import dataclass, field

from schemas.letter import Place
from schemas.record import Record
from schemas.topics import SCORED
from workers.audit.log.invariants import Invariant, Report


@dataclass
class Ordering:
    """Memory holds one offset for each pair of partitions."""

    report: Report
    _last: dict[tuple[str, int, str, int], int] = field(default_factory=dict)

    def follows(self, source: Place, output: Record) -> None:
        """`output` is the first of its kind that was made of the record at `source`."""
        if source.topic != SCORED.name:
            return
        pair = source.topic, source.partition, output.topic, output.partition
        last = self._last.get(pair, -1)
        self.report.checked[Invariant.SAME_SEQUENCE] += 1
        if source.offset < last:
            self.report.find(
                Invariant.SAME_SEQUENCE,
                f"{output.place} follows from {source}, and stands behind what follows from offset {last}",
            )
        else:
            self._last[pair] = source.offset
