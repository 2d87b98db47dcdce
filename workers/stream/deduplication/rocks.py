"""A store in RocksDB: on disk, with a bounded cache in memory. Measured against LMDB and SQLite in decision 0014.

Rows lie in segments of time, so that forgetting is dropping a range of keys; a look-up asks each segment. RocksDB's
write-ahead log is not forced to the disk with each write: after a power cut a store may stand a little further back,
and that part of the changelog is read again.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from struct import Struct

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, WriteBatch

from workers.stream.deduplication.store import Anchor, Checkpoint, Remembered, Row, StoreFailed, StoreLocked, unpacked
from workers.stream.operator_lines import STORE_DAMAGED

log = logging.getLogger(__name__)

FORMAT = 1
CACHE_BYTES = 48 * 1024**2  # of data, indexes and filters, shared by all partitions of the process
BLOCK_BYTES = 16 * 1024  # the indexes of ten million ids fit into the cache: one that does not costs a millisecond
WRITE_BUFFER_BYTES = 4 * 1024**2  # two of them for each partition
MOST_OPEN_FILES = 128
BLOOM_BITS = 10
COMPACTED_AFTER_S = 86_400  # what a dropped segment took on disk is freed within about a day, in the background
STATE = b"\xff\xff\xff\xff state"  # behind every segment
SEGMENT = Struct(">I")
#: What RocksDB says of a folder that another process, or this one, has open.
LOCKED = re.compile("While lock file: |lock hold by current process")
_cache: list[Cache] = []


@contextmanager
def _telling(folder: Path) -> Iterator[None]:
    """RocksDB's errors are plain Exceptions: say which folder it is, and what to do."""
    try:
        yield
    except Exception as error:
        failed = StoreLocked if LOCKED.search(str(error)) else StoreFailed
        raise failed(
            f"{folder}: {error}. The ids that were settled are kept there: make room or mend the disk, or set "
            "TESSERA_STATE_FOLDER to another folder; what it held is read from Kafka again"
        ) from error


class RocksStore:
    """As `Store`. `segment_ms`: the length of a segment; whole segments before the horizon are dropped.

    StoreFailed where the folder cannot be used, or another process uses it.
    """

    def __init__(self, folder: Path, name: str, segment_ms: int) -> None:
        self.folder, self._name, self._segment_ms = folder, name, segment_ms
        self._open()

    def _open(self) -> None:
        with _telling(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._db, self._checkpoint, self._segments = _opened(self.folder), Checkpoint(), list[int]()
            self._load(self._db.get(STATE))

    def _load(self, state: bytes | None) -> None:
        """What the last write has left; a state of another format, of another partition or window counts as none."""
        found = json.loads(state) if state else {}
        if found.get("of") == self._of:
            anchor = found["anchor"]
            self._checkpoint = Checkpoint(
                anchor and Anchor(anchor[0], anchor[1], bytes.fromhex(anchor[2])), *found["times"]
            )
            self._segments = found["segments"]
        elif found:
            self._clear()

    @property
    def _of(self) -> list[object]:
        return [FORMAT, self._name, self._segment_ms]

    @property
    def checkpoint(self) -> Checkpoint:
        """How far the store has followed its changelog: what the last write left, or the beginning."""
        return self._checkpoint

    def get(self, query_id: str) -> Remembered | None:
        with _telling(self.folder):
            id_ = query_id.encode()
            for segment in reversed(self._segments):
                if (value := self._db.get(SEGMENT.pack(segment) + id_)) is not None:
                    return unpacked(value)
            return None

    def put(self, rows: Sequence[Row], checkpoint: Checkpoint) -> None:
        with _telling(self.folder):
            batch, first = WriteBatch(raw_mode=True), checkpoint.horizon_ms // self._segment_ms
            filled = self._filled(batch, rows)
            segments = sorted({one for one in (*self._segments, *filled) if one >= first})
            for segment in {*self._segments, *filled}.difference(segments):
                batch.delete_range(SEGMENT.pack(segment), SEGMENT.pack(segment + 1))
            batch.put(STATE, self._state(checkpoint, segments))
            self._db.write(batch)
            self._checkpoint, self._segments = checkpoint, segments

    def _filled(self, batch: WriteBatch, rows: Sequence[Row]) -> Iterable[int]:
        """Put the rows into the batch; their segments."""
        prefixes: dict[int, bytes] = {}
        for id_, recorded_ms, value in rows:
            segment = recorded_ms // self._segment_ms
            batch.put((prefixes.get(segment) or prefixes.setdefault(segment, SEGMENT.pack(segment))) + id_, value)
        return prefixes

    def _state(self, checkpoint: Checkpoint, segments: Sequence[int]) -> bytes:
        at = checkpoint.anchor
        return json.dumps(
            {
                "of": self._of,
                "anchor": at and [at.offset, at.timestamp_ms, at.key.hex()],
                "times": [checkpoint.horizon_ms, checkpoint.oldest_ms, checkpoint.newest_ms],
                "segments": segments,
            }
        ).encode()

    def clear(self) -> None:
        with _telling(self.folder):
            self._clear()

    def _clear(self) -> None:
        self._db.close()
        Rdict.destroy(str(self.folder), _options())
        self._db, self._checkpoint, self._segments = _opened(self.folder), Checkpoint(), []

    def close(self) -> None:
        with _telling(self.folder):
            self._db.close()


def _opened(folder: Path) -> Rdict:
    """A damaged store is thrown away: Kafka has all that it held."""
    try:
        found = Rdict(str(folder), _options())
    except Exception as error:
        if "Corruption" not in str(error):
            raise
        STORE_DAMAGED.tell(log, folder=folder, error=error)
        Rdict.destroy(str(folder), _options())
        found = Rdict(str(folder), _options())
    found.set_options({"periodic_compaction_seconds": str(COMPACTED_AFTER_S)})
    return found


def _options() -> Options:
    if not _cache:
        _cache.append(Cache(CACHE_BYTES))
    table = BlockBasedOptions()
    table.set_block_cache(_cache[0])
    table.set_cache_index_and_filter_blocks(True)
    table.set_block_size(BLOCK_BYTES)
    table.set_bloom_filter(BLOOM_BITS, False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_open_files(MOST_OPEN_FILES)
    options.set_keep_log_file_num(1)
    options.set_compression_type(DBCompressionType.none())  # digests
    return options
