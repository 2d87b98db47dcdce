"""What a campaign produced and what was to become of it, against what is stored and what became of it."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.reasons import DeadLetterReason
from workers.audit.log.invariants import Invariant, Report
from workers.errors import TesseraError

SETTLED = "settled"
OUTCOMES = {SETTLED, *(reason.name for reason in DeadLetterReason)}


@dataclass
class CampaignPlan:
    """By SHA-256 of a query's value: how often each outcome is expected, less how often it came.

    Memory holds an entry for each distinct value. The same value may be planned several times.
    """

    _open: dict[bytes, Counter[str]] = field(default_factory=dict)
    produced: int = 0
    _surplus: list[tuple[bytes, str]] = field(default_factory=list)
    _unplanned: int = 0

    def expect(self, value_sha256: bytes, outcome: str) -> None:
        self.produced += 1
        self._open.setdefault(value_sha256, Counter())[outcome] += 1

    def ended(self, value_sha256: bytes, outcome: str) -> None:
        """A query with this value came to its end."""
        expected = self._open.get(value_sha256)
        if expected is None:
            self._unplanned += 1
        elif expected[outcome]:
            expected[outcome] -= 1
        else:
            self._surplus.append((value_sha256, outcome))

    def judge(self, report: Report, stored: int) -> None:
        """QueryOutcomes against the plan, and the number stored against the number produced."""
        report.checked[Invariant.POISON_REFUSED] += self.produced
        for value, outcome in self._surplus:
            wanted = next((name for name, left in self._open[value].items() if left), None)
            if wanted is not None:  # else the value is stored more often than planned, and counted as such
                self._open[value][wanted] -= 1
                said = f"the query with value SHA-256 {value.hex()} was planned as {wanted} and became {outcome}"
                report.find(Invariant.POISON_REFUSED, said)
        self._count(report, stored)

    def _count(self, report: Report, stored: int) -> None:
        report.counts[Invariant.SOURCE_COMPLETE]["planned"] = self.produced
        report.checked[Invariant.SOURCE_COMPLETE] += 1
        if stored != self.produced:
            said = f"the plan has {self.produced} queries and {stored} are stored"
            report.find(Invariant.SOURCE_COMPLETE, said)
        elif self._unplanned:
            report.find(Invariant.SOURCE_COMPLETE, f"{self._unplanned} stored queries have values that no line plans")


def read_plan(lines: Iterable[bytes], where: str) -> CampaignPlan:
    """The plan of JSON lines: `value_sha256` and `expect`, which is `settled` or a dead letter's reason.

    TesseraError names the line that is none.
    """
    plan = CampaignPlan()
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                _add(plan, json.loads(line))
            except (ValueError, TypeError, KeyError, RecursionError):
                raise TesseraError(
                    f'{where}, line {number}: a line of a plan is {{"value_sha256": "<64 hexadecimal digits>", '
                    '"expect": "settled" or the name of a dead letter\'s reason}'
                ) from None
    return plan


def _add(plan: CampaignPlan, line: dict[str, str]) -> None:
    value, outcome = bytes.fromhex(line["value_sha256"]), line["expect"]
    if len(value) != 32 or outcome not in OUTCOMES:
        raise ValueError
    plan.expect(value, outcome)
