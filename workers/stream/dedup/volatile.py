"""A store in this process's memory, for the bus without Kafka and for the simulator."""

from collections.abc import Sequence

from workers.stream.dedup.store import Checkpoint, Remembered, Row, unpacked


class VolatileStore:
    """As `Store`. It can be opened again after `close`, as a disk can."""

    def __init__(self) -> None:
        self._rows: dict[bytes, Row] = {}
        self._checkpoint = Checkpoint()

    @property
    def checkpoint(self) -> Checkpoint:
        return self._checkpoint

    def get(self, query_id: str) -> Remembered | None:
        found = self._rows.get(query_id.encode())
        return None if found is None else unpacked(found.value)

    def put(self, rows: Sequence[Row], checkpoint: Checkpoint) -> None:
        self._rows.update((row.query_id, row) for row in rows)
        if checkpoint.horizon_ms > self._checkpoint.horizon_ms:
            held = [row for row in self._rows.values() if row.recorded_ms >= checkpoint.horizon_ms]
            self._rows = {row.query_id: row for row in held}
        self._checkpoint = checkpoint

    def clear(self) -> None:
        self._rows, self._checkpoint = {}, Checkpoint()

    def close(self) -> None: ...
