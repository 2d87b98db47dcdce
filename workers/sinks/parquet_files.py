"""Parquet files of one folder: complete or absent, and a manifest that says how far each partition is copied.

A batch's files are renamed into their place first, the manifest last: it is the commit. What lies beyond the manifest
when a copy begins is of a batch that was cut off; it is deleted and written again. So each record is in exactly one
file, however often the copying process dies.
"""

import fcntl
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from workers.errors import TesseraError
from workers.sinks.copying import Batch
from workers.sinks.rows import BY_TOPIC, TABLES, Row, SinkTable
from workers.stream.bus import Offsets

MANIFEST, LOCK, UNFINISHED = "manifest.json", ".lock", ".unfinished"
FORMAT = 1
NAME = re.compile(r"p(\d+)-(\d{20})-(\d{20})\.parquet")
KINDS = {"text": pa.string(), "integer": pa.int64(), "real": pa.float64(), "time": pa.timestamp("us", tz="UTC")}
PLACE = {"partition": pa.int32(), "offset": pa.int64(), "taken_at": KINDS["time"]}


def schema_of(table: SinkTable) -> pa.Schema:
    """The columns of a table's files: its own, and where each row was read."""
    own = {name: KINDS[kind] for name, kind in table.columns.items()}
    return pa.schema(list({**own, **PLACE}.items()))


@dataclass
class ParquetFolder:
    """A folder of which one process at a time makes a copy; others may read it at any time.

    `period`: what of the topics is copied, in words; a folder keeps to the one that it was begun with.
    """

    folder: Path
    period: str = ""
    next: Offsets = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)  # written in all, by table
    _lock: IO[str] | None = None

    def open(self) -> None:
        """Take the folder and delete what a batch left that was cut off.

        TesseraError: another process has it, or it is a copy of another period or of a newer release.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TesseraError(f"{self.folder}: another `tessera sink parquet` writes here; stop it first") from None
        self._read_manifest()
        (self.folder / (MANIFEST + UNFINISHED)).unlink(missing_ok=True)
        for table in TABLES:
            for path in (self.folder / table.name).rglob("*.parquet*"):
                if self._is_beyond(table, path):
                    path.unlink()

    def close(self) -> None:
        """Let others take the folder."""
        if self._lock is not None:
            self._lock.close()

    def write(self, batch: Batch, reached: Offsets) -> None:
        """The rows, then the manifest: all of it or none. `reached`: where to go on, also past what is no row."""
        rows = dict(self.rows)
        for (topic, partition), own in batch.items():
            table = BY_TOPIC[topic]
            self._write_hours(table, partition, own, reached[topic, partition])
            rows[table.name] = rows.get(table.name, 0) + len(own)
        self._write_manifest({**self.next, **{(topic, number): to for (topic, number), to in reached.items()}}, rows)

    def _write_hours(self, table: SinkTable, partition: int, rows: Iterable[Row], end: int) -> None:
        """A file for each hour that the batch's records were taken in."""
        hours: dict[datetime, list[Row]] = defaultdict(list)
        for row in rows:
            hours[row["taken_at"].astimezone(UTC).replace(minute=0, second=0, microsecond=0)].append(row)
        for hour, of_hour in hours.items():
            place = self.folder / table.name / f"day={hour:%Y-%m-%d}" / f"hour={hour:%H}"
            place.mkdir(parents=True, exist_ok=True)
            path = place / f"p{partition}-{of_hour[0]['offset']:020}-{end:020}.parquet"
            unfinished = path.with_name(path.name + UNFINISHED)
            pq.write_table(pa.Table.from_pylist(of_hour, schema_of(table)), unfinished, compression="zstd")
            self._settle(unfinished, path)

    def _is_beyond(self, table: SinkTable, path: Path) -> bool:
        found = NAME.fullmatch(path.name)
        if found is None:
            return path.name.endswith(UNFINISHED)
        return int(found[2]) >= self.next.get((table.topic.name, int(found[1])), 0)

    def _read_manifest(self) -> None:
        try:
            told = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        if told["format"] != FORMAT:
            raise TesseraError(f"{self.folder / MANIFEST} is of a newer release: go on with that one")
        if told["period"] != self.period:
            was, wanted = told["period"] or "all times", self.period or "all times"
            raise TesseraError(
                f"{self.folder} is a copy of {was}, not of {wanted}: what lies between would be missing. Give the same "
                "--from and --to, or another folder"
            )
        self.next = {(one["topic"], one["partition"]): one["next_offset"] for one in told["positions"]}
        self.rows = told["rows"]

    def _write_manifest(self, positions: Offsets, rows: Mapping[str, int]) -> None:
        told: dict[str, Any] = {
            "format": FORMAT,
            "period": self.period,
            "rows": dict(rows),
            "positions": [
                {"topic": topic, "partition": partition, "next_offset": offset}
                for (topic, partition), offset in sorted(positions.items())
            ],
        }
        unfinished = self.folder / (MANIFEST + UNFINISHED)
        unfinished.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        self._settle(unfinished, self.folder / MANIFEST)
        self.next, self.rows = positions, dict(rows)

    def _settle(self, unfinished: Path, path: Path) -> None:
        """The file in its place, and on the disk with the folders that lead there, whatever happens next."""
        _sync(unfinished)
        os.replace(unfinished, path)
        for folder in (path.parent, *path.parent.parents):
            with suppress(OSError):  # not every file system lets a folder be synced
                _sync(folder)
            if folder == self.folder:
                break


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
