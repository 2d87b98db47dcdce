"""What may go wrong with a request, drawn from the seed: a budget of faults, and how often each really happened."""

import random
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum


class Fault(Enum):
    """What becomes of one request, or of who sent it."""

    REQUEST_LOST = "request lost"  # never executed, the connection breaks
    ANSWER_LOST = "answer lost"  # executed, the connection breaks
    EXECUTED_LATE = "executed late"  # the connection breaks, and the request is executed long after
    SLOW = "slow"
    SILENT = "timed out"  # never executed, and no word of it before the client's own limit
    CRASH_BEFORE = "crash before a request"
    CRASH_AFTER = "crash before an answer"
    FREEZE_BEFORE = "zombie before a request"
    FREEZE_AFTER = "zombie before an answer"


#: How often a request of a kind is struck, in thousandths, while faults are allowed. Others: 5.
RATES = {
    "EndTxn": 80,
    "TxnOffsetCommit": 40,
    "InitProducerId": 40,
    "AddPartitionsToTxn": 25,
    "AddOffsetsToTxn": 25,
    "Produce": 30,
    "OffsetFetch": 25,
    "Join": 15,
    "Heartbeat": 10,
}
OTHERS = 5
REFUSED_BATCHES = 8  # in a thousand
WEIGHTS = {
    Fault.REQUEST_LOST: 4,
    Fault.ANSWER_LOST: 6,
    Fault.EXECUTED_LATE: 6,
    Fault.SLOW: 5,
    Fault.SILENT: 1,
    Fault.CRASH_BEFORE: 2,
    Fault.CRASH_AFTER: 3,
    Fault.FREEZE_BEFORE: 2,
    Fault.FREEZE_AFTER: 2,
}


@dataclass
class Faults:
    """Draws while `allowed`; `budget` faults at most."""

    rng: random.Random
    budget: int
    intensity: float = 1.0
    allowed: bool = True
    happened: Counter[str] = field(default_factory=Counter)

    def strike(self, request: str) -> Fault | None:
        """What becomes of this request; None: nothing."""
        if not self.allowed or self.budget <= 0:
            return None
        if self.rng.random() * 1_000 >= RATES.get(request, OTHERS) * self.intensity:
            return None
        self.budget -= 1
        (fault,) = self.rng.choices(list(WEIGHTS), WEIGHTS.values())
        self.happened[fault.value] += 1
        return fault

    def refuses_batch(self) -> bool:
        """Whether the broker refuses this batch for a policy of its own; a size would be the record's doing."""
        if not self.allowed or self.rng.random() * 1_000 >= REFUSED_BATCHES * self.intensity:
            return False
        self.happened["batch refused"] += 1
        return True

    def note(self, what: str) -> None:
        self.happened[what] += 1
