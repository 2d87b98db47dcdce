"""The twelve invariants by number, and what was found of each: counts, examples, and what could not be checked."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum, unique


@unique
class Invariant(IntEnum):
    """What must hold. The member's name in lower case is its identifier; numbers and names are never reused."""

    ONE_END = 1
    NO_DUPLICATES = 2
    BILLS_RECOMPUTED = 3
    SUMS_AGREE = 4
    LEDGER_FOLDED = 5
    DRAWS_RECOMPUTED = 6
    SAME_SEQUENCE = 7
    ABORTS_SEEN = 8
    POISON_REFUSED = 9
    FAULTS_HAPPENED = 10
    HEALED = 11
    SOURCE_COMPLETE = 12

    @property
    def id(self) -> str:
        return self.name.lower()


SENTENCES = {
    Invariant.ONE_END: "each query has one end: a reply with its charges, or one dead letter",
    Invariant.NO_DUPLICATES: "no reply and no charge twice; auctions that were scored twice are counted",
    Invariant.BILLS_RECOMPUTED: "replies and bills are those recomputed from the scored event",
    Invariant.SUMS_AGREE: "totals are the sums of their charges; each within 0 and its bound",
    Invariant.LEDGER_FOLDED: "accounts are the fold of the billing topic",
    Invariant.DRAWS_RECOMPUTED: "winners are those of the draws repeated",
    Invariant.SAME_SEQUENCE: "outputs in the order of inputs; a live reader saw what is stored",
    Invariant.ABORTS_SEEN: "aborted records are there, and only for those who read uncommitted",
    Invariant.POISON_REFUSED: "dead letters hold the refused bytes, under the right reason",
    Invariant.FAULTS_HAPPENED: "every planned fault happened",
    Invariant.HEALED: "nothing is left unread; memory and descriptors are flat",
    Invariant.SOURCE_COMPLETE: "what was produced is stored, and everything has its query",
}


@unique
class InvariantState(StrEnum):
    HELD = "held"
    BROKEN = "broken"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class InvariantRow:
    """The verdict on one invariant. `why`: what of it was not checked, and why not; empty if all was."""

    invariant: Invariant
    state: InvariantState
    checked: int
    broken: int
    counts: dict[str, int]
    why: str
    examples: tuple[str, ...]


@dataclass
class Report:
    """What the checks found. Of each invariant the first `most_examples` sentences are kept; all are counted."""

    most_examples: int = 10
    checked: Counter[Invariant] = field(default_factory=Counter)
    broken: Counter[Invariant] = field(default_factory=Counter)
    counts: defaultdict[Invariant, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _unchecked: defaultdict[Invariant, list[str]] = field(default_factory=lambda: defaultdict(list))
    _examples: defaultdict[Invariant, list[str]] = field(default_factory=lambda: defaultdict(list))

    def find(self, invariant: Invariant, sentence: str) -> None:
        """It does not hold here; the sentence names the place or the query, and what is wrong."""
        self.broken[invariant] += 1
        if len(self._examples[invariant]) < self.most_examples:
            self._examples[invariant].append(sentence)

    def not_checked(self, invariant: Invariant, why: str) -> None:
        """A part of it, or all of it, could not be checked."""
        self._unchecked[invariant].append(why)

    def rows(self) -> Iterator[InvariantRow]:
        """One for each invariant, in order."""
        for one in Invariant:
            state = self._state(one)
            why = "; ".join(self._unchecked[one])
            if state is InvariantState.NOT_CHECKED:
                why = why or "there is nothing to check it on"
            counts = {name: count for name, count in sorted(self.counts[one].items())}
            yield InvariantRow(one, state, self.checked[one], self.broken[one], counts, why, tuple(self._examples[one]))

    @property
    def is_broken(self) -> bool:
        return bool(self.broken.total())

    def _state(self, one: Invariant) -> InvariantState:
        if self.broken[one]:
            return InvariantState.BROKEN
        return InvariantState.HELD if self.checked[one] else InvariantState.NOT_CHECKED
