"""The disk of settled ids against what else keeps keys on a disk: filling, opening again, look-ups, memory.

LMDB is measured where `pip install lmdb` has been done; it is no dependency. Each runs in a process of its own, so that
its memory is its own. What an id and its value hold is not compressible, as real digests are not.
"""

import json
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha512
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from tests.benchmarks.report import Scale

PARTITIONS, BATCH, ASKED = 8, 5_000, 20_000
TRANSACTION = 64  # ids, as settlement writes them
KINDS = ("rocksdb", "lmdb", "sqlite")


class Kept(Protocol):
    def put(self, rows: Sequence[tuple[bytes, bytes]], offset: int) -> None: ...

    def get(self, id_: bytes) -> object: ...

    def close(self) -> None: ...


class Rocks:
    def __init__(self, folder: Path) -> None:
        from workers.stream.deduplication.rocks import RocksStore

        self._store = RocksStore(folder, "benchmark", 10**9)

    def put(self, rows: Sequence[tuple[bytes, bytes]], offset: int) -> None:
        from workers.stream.deduplication.store import Anchor, Checkpoint

        at_ms = 1 + min(2, offset // 420_000) * 10**9  # three segments, as at the end of a window
        self._store.put([(id_, at_ms, value) for id_, value in rows], Checkpoint(Anchor(offset, at_ms, b"key")))

    def get(self, id_: bytes) -> object:
        return self._store.get(id_.decode())

    def close(self) -> None:
        self._store.close()


class Lmdb:
    """Synchronous: without that its file does not survive a power cut."""

    def __init__(self, folder: Path) -> None:
        import lmdb

        self._db = lmdb.open(str(folder), map_size=1 << 36, metasync=False, readahead=False)

    def put(self, rows: Sequence[tuple[bytes, bytes]], offset: int) -> None:
        with self._db.begin(write=True) as transaction:
            transaction.cursor().putmulti(rows)
            transaction.put(b"\x00offset", str(offset).encode())

    def get(self, id_: bytes) -> object:
        with self._db.begin() as transaction:
            return transaction.get(id_)

    def close(self) -> None:
        self._db.close()


class Sqlite:
    """With a write-ahead log, synchronised at checkpoints only."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._db = sqlite3.connect(folder / "ids", isolation_level=None)
        for pragma in ("journal_mode=wal", "synchronous=normal", "cache_size=-8000"):
            self._db.execute(f"pragma {pragma}")
        self._db.execute("create table if not exists ids(id blob primary key, value blob) without rowid")

    def put(self, rows: Sequence[tuple[bytes, bytes]], offset: int) -> None:
        self._db.execute("begin")
        self._db.executemany("insert or replace into ids values(?, ?)", [*rows, (b"\x00offset", str(offset).encode())])
        self._db.execute("commit")

    def get(self, id_: bytes) -> object:
        return self._db.execute("select value from ids where id = ?", (id_,)).fetchone()

    def close(self) -> None:
        self._db.close()


OPEN: dict[str, Callable[[Path], Kept]] = {"rocksdb": Rocks, "lmdb": Lmdb, "sqlite": Sqlite}


def a_row(partition: int, number: int) -> tuple[bytes, bytes]:
    digest = sha512(f"{partition} {number}".encode()).digest()
    return str(UUID(bytes=digest[:16])).encode(), digest


def resident() -> dict[str, float]:
    """MiB of this process's memory: its own, and pages of files that it has mapped."""
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Rss")]
    return {name.removesuffix(":"): int(size) / 1024 for name, size, _ in lines}


def percentile(spent: Sequence[float], share: float) -> float:
    return 1e6 * sorted(spent)[int(len(spent) * share)]


def timed(call: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    found = call()
    return time.perf_counter() - began, found


def fill(kind: str, folder: Path, count: int) -> float:
    spent = 0.0
    for partition in range(PARTITIONS):
        kept = OPEN[kind](folder / str(partition))
        for first in range(0, count, BATCH):
            rows = [a_row(partition, number) for number in range(first, min(first + BATCH, count))]
            spent += timed(lambda kept=kept, rows=rows, first=first: kept.put(rows, first))[0]  # type: ignore[misc]
        spent += timed(kept.close)[0]
    return PARTITIONS * count / spent


def asked(count: int, seed: int) -> Iterator[tuple[int, bytes, bool]]:
    """Partition, id, whether it is there: as many new ids as old ones."""
    draw = random.Random(seed)
    for _ in range(ASKED):
        partition, number = draw.randrange(PARTITIONS), draw.randrange(count)
        yield partition, a_row(partition, number)[0], True
        yield partition, a_row(partition, number + count)[0], False


def measure(kind: str, folder: Path, count: int) -> dict[str, Any]:
    """With so many ids in each partition. Memory: what opening and look-ups add."""
    OPEN[kind](folder / "first").close()  # libraries are loaded
    rate, before = fill(kind, folder, count), resident()
    opened_s, kept = timed(lambda: [OPEN[kind](folder / str(partition)) for partition in range(PARTITIONS)])
    assert isinstance(kept, list)
    for at, id_, known in asked(count, seed=1):  # caches are filled
        assert (kept[at].get(id_) is not None) == known
    spent = [timed(lambda at=at, id_=id_: kept[at].get(id_))[0] for at, id_, _ in asked(count, seed=2)]  # type: ignore[misc]
    after = resident()
    rows = [
        [a_row(PARTITIONS, first + number) for number in range(TRANSACTION)] for first in range(0, 6_400, TRANSACTION)
    ]
    written = [
        timed(lambda at=at, batch=batch: kept[at % 8].put(batch, count + at))[0] for at, batch in enumerate(rows)
    ]  # type: ignore[misc]
    return {
        "store": kind,
        "ids": PARTITIONS * count,
        "filled, ids/s": rate,
        "opened, s": opened_s,
        "get p50, µs": percentile(spent, 0.5),
        "get p99, µs": percentile(spent, 0.99),
        "put 64 p99, µs": percentile(written, 0.99),
        "own MiB": after["RssAnon"],
        "own MiB before": before["RssAnon"],
        "mapped MiB": after["RssFile"],
        "disk MiB": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20,
    }


def test_a_disk_of_ids(scale: Scale, tmp_path: Path) -> None:
    count = scale(10_000_000, 16_000) // PARTITIONS
    rows = []
    for kind in KINDS:
        if kind == "lmdb" and find_spec("lmdb") is None:
            continue
        command = [sys.executable, "-m", "tests.benchmarks.test_id_store_speed", kind, str(tmp_path / kind), str(count)]
        (tmp_path / kind).mkdir()
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=scale(1_800, 60))
        assert ended.returncode == 0, ended.stderr
        rows.append(json.loads(ended.stdout))
    scale.report("id-stores", rows)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
