"""Batches that no client library would send, written before a round asks anything: bombs, odd headers, heaps.

What each record of them must become is planned from what a reader finds stored: a batch that nobody unpacks is one.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from schemas.record import Record
from schemas.topics import QUERIES
from tests.chaos.queries import SETTLED, Queries
from tests.support.poisoned_batches import BATCHES, PoisonedBatch, write_batches
from workers.app.bus import bus_of
from workers.settings import Settings


@dataclass(frozen=True)
class Written:
    """A batch of one kind; it begins at this offset. `answered` are the queries in it that get their replies."""

    kind: PoisonedBatch
    partition: int
    offset: int
    answered: tuple[bytes, ...]

    def end(self, record: Record) -> str:
        """How one of its records has to end."""
        if record.value in self.answered or self.kind.reason is None:
            return SETTLED
        return self.kind.reason.name

    def holds(self, record: Record) -> bool:
        """Whether it is the record's, if no batch behind it is."""
        return self.partition == record.partition and self.offset <= record.offset


async def write_strangers(servers: str, queries: Queries, plan: Path) -> int:
    """Each kind once, over all partitions; how many records they are. Nothing else may be in the topic yet."""
    written = [await _write(servers, queries, number) for number in range(len(BATCHES))]
    lines = [_line(written, record) async for record in _stored(servers)]
    with plan.open("a") as file:
        file.writelines(lines)
    return len(lines)


async def _write(servers: str, queries: Queries, number: int) -> Written:
    kind, partition = BATCHES[number], number % QUERIES.partitions
    names = [f"{queries.name}-stranger-{number}-{one}" for one in range(kind.needs)]
    values = tuple(json.dumps(queries.body(number, name)).encode() for name in names)
    (placed,) = await write_batches(servers, [kind.make(values)], QUERIES.name, partition)
    return Written(kind, partition, placed.offset, values[: kind.answers])


def _stored(servers: str) -> AsyncIterator[Record]:
    return bus_of(Settings.read(bootstrap_servers=servers, allow_plaintext=True)).stored([QUERIES.name])


def _line(written: list[Written], record: Record) -> str:
    batch = max((one for one in written if one.holds(record)), key=lambda one: one.offset)
    digest = sha256(record.value or b"").hexdigest()
    return json.dumps({"value_sha256": digest, "expect": batch.end(record)}) + "\n"
