"""A store in this process's memory, for the bus without Kafka and for the simulator."""

from collections.abc import Sequence

from workers.stream.deduplication.store import Checkpoint, Remembered, Row, unpacked


class VolatileStore:
    """As `Store`. It can be opened again after `close`, as a disk can."""

    def __init__(self) -> None:
        self._rows: dict[bytes, Row] = {}
        self._checkpoint = Checkpoint()

    @property
    def checkpoint(self) -> Checkpoint:
        """How far the store has followed its changelog."""
        return self._checkpoint

    def get(self, query_id: str) -> Remembered | None:
        found = self._rows.get(query_id.encode())
        return None if found is None else unpacked(found[2])

    def put(self, rows: Sequence[Row], checkpoint: Checkpoint) -> None:
        self._rows.update((row[0], row) for row in rows)
        if checkpoint.horizon_ms > self._checkpoint.horizon_ms:
            self._rows = {id_: row for id_, row in self._rows.items() if row[1] >= checkpoint.horizon_ms}
        self._checkpoint = checkpoint

    def clear(self) -> None:
        self._rows, self._checkpoint = {}, Checkpoint()

    def close(self) -> None: ...
