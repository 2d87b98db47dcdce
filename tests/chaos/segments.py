"""What a broker's segment files hold, batch by batch, without a broker: `python -m tests.chaos.segments FILE...`.

Shows which producer wrote a batch in which epoch, what a transaction was ended with, and the first key of each batch:
with that, a duplicate can be told to be the broker's or ours.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.record import MemoryRecords

COMMIT_MARKER = 1


@dataclass(frozen=True)
class BatchRow:
    """One batch. `kind`: plain, transactional, commit or abort; -1 for the producer of a batch without one."""

    base_offset: int
    records: int
    producer_id: int
    epoch: int
    kind: str
    first_key: bytes | None


def batches(segment: Path) -> Iterator[BatchRow]:
    """The batches of one .log file, in order; what a crash cut off at its end is left out."""
    records = MemoryRecords(segment.read_bytes())
    while records.has_next():
        yield _row(records.next_batch())


def _row(batch: Any) -> BatchRow:
    found = list(batch)
    first = found[0] if found else None
    key = first.key if first is not None else None
    return BatchRow(batch.base_offset, len(found), batch.producer_id, batch.producer_epoch, _kind(batch, key), key)


def _kind(batch: Any, key: bytes | None) -> str:
    if batch.is_control_batch:
        return "commit" if key is not None and int.from_bytes(key[2:4], "big") == COMMIT_MARKER else "abort"
    return "transactional" if batch.is_transactional else "plain"


def main(files: list[str]) -> None:
    """Print every batch of the files, tab-separated."""
    print("file", "offset", "records", "producer", "epoch", "kind", "first key", sep="\t")
    for name in files:
        path = Path(name)
        for row in batches(path):
            key = "" if row.kind in ("commit", "abort") or row.first_key is None else repr(row.first_key)[2:-1]
            place = f"{path.parent.name}/{path.name}"
            print(place, row.base_offset, row.records, row.producer_id, row.epoch, row.kind, key, sep="\t")


if __name__ == "__main__":
    main(sys.argv[1:])
