"""What a campaign asks: seeded auctions for the null engine, poison and second tries among them, in batches."""

import json
import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from schemas.reasons import DeadLetterReason
from tests.chaos.poison import KINDS, Headers

POISON_SHARE, DUPLICATE_SHARE, ABORTED_SHARE = 0.05, 0.01, 0.2
BATCH_RECORDS = (40, 120)
TAIL, TAIL_BATCH_RECORDS = 0.05, (1, 4)  # share of the last queries: a batch of 40 would leave nothing to wait with
REMEMBERED = 400  # ids that a later batch may use again
CANDIDATES = 4  # few, so that volume is cheap: what is tested is the log, not the model
ADVERTISERS = 40
WORDS = (
    "how do I bake mend plant paint choose clean store grow teach sell a the my old new small red bread tree".split()
)
SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Asked:
    """One record of the query topic, and how it has to end: `settled`, or the name of a dead letter's reason."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    query_id: str | None
    expect: str

    def plan(self) -> str:
        """Its line in the plan that the checker reads."""
        digest = sha256(self.value or b"").hexdigest()
        return json.dumps({"value_sha256": digest, "query_id": self.query_id, "expect": self.expect})


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one transaction of the producer; one that is aborted is tried again, whole, as the next batch."""

    records: tuple[Asked, ...]
    aborted: bool


class Queries:
    """`count` records in all that are committed, the same ones for the same seed."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.name = count, f"{seed:x}"
        self.tail_from = int(count * (1 - TAIL))
        self._random = random.Random(seed)
        self._recent: deque[tuple[str, int]] = deque(maxlen=REMEMBERED)
        self.made: Counter[str] = Counter()

    def batches(self) -> Iterator[Batch]:
        """One batch at a time; no more than the last few ids are held."""
        number = 0
        while number < self.count:
            size = self._size(number)
            fresh: list[tuple[str, int]] = []
            records = tuple(self._record(number + index, fresh) for index in range(size))
            number += size
            if self._random.random() < ABORTED_SHARE / (1 - ABORTED_SHARE):
                self.made["input_aborted"] += 1
                yield Batch(records, aborted=True)
            yield Batch(records, aborted=False)
            self._recent.extend(fresh)

    def _size(self, number: int) -> int:
        if number < self.tail_from:
            return min(self._random.randint(*BATCH_RECORDS), self.tail_from - number)
        return min(self._random.randint(*TAIL_BATCH_RECORDS), self.count - number)

    def _record(self, number: int, fresh: list[tuple[str, int]]) -> Asked:
        roll = self._random.random()
        if roll < POISON_SHARE:
            return self._poison(number)
        if roll < POISON_SHARE + DUPLICATE_SHARE and self._recent:
            return self._duplicate(number)
        id_ = f"q-{self.name}-{number}"
        fresh.append((id_, number))
        return Asked(id_.encode(), json.dumps(self.body(number, id_)).encode(), (), id_, SETTLED)

    def _duplicate(self, number: int) -> Asked:
        """Another question with an id that an earlier batch has used, in the same partition and behind it."""
        self.made["duplicates"] += 1
        id_, _ = self._random.choice(self._recent)
        value = json.dumps(self.body(number, id_)).encode()
        return Asked(id_.encode(), value, (), id_, DeadLetterReason.DUPLICATE_QUERY.name)

    def _poison(self, number: int) -> Asked:
        self.made["poison"] += 1
        kind = KINDS[self._random.randrange(len(KINDS))]
        self.made[f"poison: {kind.name}"] += 1
        body = self.body(number, f"p-{self.name}-{number}")
        return Asked(kind.key, kind.make(body), kind.headers, None, kind.reason.name)

    def body(self, number: int, id_: str) -> dict[str, Any]:
        words = " ".join(self._random.choices(WORDS, k=6))
        chosen = self._random.sample(range(ADVERTISERS), 2)
        return {
            "query_id": id_,
            "text": f"Question {number}: {words}?",
            "advertising_consent": True,
            "advertisers": [self._advertiser(index) for index in chosen],
            "parameters": {"candidates": CANDIDATES, "max_tokens": 200},
        }

    def _advertiser(self, index: int) -> dict[str, Any]:
        return {
            "advertiser_id": f"advertiser-{index}",
            "name": f"Advertiser {index}",
            "description": "selling things of this kind",
            "value_micros_per_nat": self._random.randint(100, 5_000),
        }
