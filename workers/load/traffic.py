"""What a load test sends, and when: all of it is drawn before the first record is sent.

Arrivals are a Poisson process, as the queries of many people who do not know of each other are.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import numpy as np

from schemas.query import QuerySubmitted
from schemas.record import Outgoing
from schemas.topics import QUERIES

MOST_ARRIVALS: Final = 1_000_000
#: Values that are no query: no JSON, a missing text, a number out of its range.
POISON: Final = (b"{", b'{"advertisers": []}', b'{"text": "?", "parameters": {"candidates": 0}}')


class ArrivalKind(StrEnum):
    """What somebody may send."""

    QUERY = "query"  # it states no deadline
    DEADLINE = "deadline"  # a query that states one
    DUPLICATE = "duplicate"  # the id of a query that was sent before; it is refused
    POISON = "poison"  # no query; it is refused


@dataclass(frozen=True)
class Mix:
    """Shares of all arrivals, from 0 to 1, together at most 1; the rest are queries that state no deadline."""

    deadlines: float = 0.0
    duplicates: float = 0.0
    poison: float = 0.0
    deadline_s: float = 30.0  # from when the query is sent

    @property
    def shares(self) -> tuple[float, ...]:
        """In the order of ArrivalKind."""
        special = (self.deadlines, self.duplicates, self.poison)
        return (max(0.0, 1 - sum(special)), *special)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One record, `due_s` seconds after the beginning. A duplicate has the `query_id` and `number` of its original."""

    due_s: float
    kind: ArrivalKind
    query_id: str
    number: int


def arrivals(rate_hz: float, duration_s: float, mix: Mix, run: str, seed: int) -> list[Arrival]:
    """A Poisson process of `rate_hz` over `duration_s`, in order of time. Ids begin with `run`; `seed` fixes the rest.

    Where no query was sent that has no duplicate yet, a query takes the place of the duplicate.
    """
    rng = np.random.default_rng(seed)
    count = int(rng.poisson(rate_hz * duration_s))
    times = np.sort(rng.uniform(0.0, duration_s, count))
    kinds = rng.choice(list(ArrivalKind), size=count, p=mix.shares)
    originals: deque[Arrival] = deque()
    found = []
    for number, (due_s, name) in enumerate(zip(times.tolist(), kinds.tolist(), strict=True)):
        kind = ArrivalKind(name)
        if kind is ArrivalKind.DUPLICATE and originals:
            original = originals.popleft()
            found.append(Arrival(due_s, kind, original.query_id, original.number))
            continue
        kind = ArrivalKind.QUERY if kind is ArrivalKind.DUPLICATE else kind
        found.append(Arrival(due_s, kind, f"load-{run}-{number:07}", number))
        if kind is ArrivalKind.QUERY:
            originals.append(found[-1])
    return found


def record_of(arrival: Arrival, queries: Sequence[QuerySubmitted], at: datetime, mix: Mix) -> Outgoing:
    """What to send at this moment: `queries` in turn, each under the arrival's id and with consent to adverts."""
    key = arrival.query_id.encode()
    if arrival.kind is ArrivalKind.POISON:
        return Outgoing(QUERIES.name, key, POISON[arrival.number % len(POISON)])
    deadline = at + timedelta(seconds=mix.deadline_s) if arrival.kind is ArrivalKind.DEADLINE else None
    changes = {"query_id": arrival.query_id, "advertising_consent": True, "deadline": deadline}
    return Outgoing(QUERIES.name, key, queries[arrival.number % len(queries)].model_copy(update=changes).encode())
