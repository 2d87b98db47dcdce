"""Metrics of a copy, for Prometheus."""

import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server


class SinkMetrics:
    """How many rows are written, how much is left, and whether the target is there."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._rows = Counter("auction_sink_rows", "Rows written since the start.", ["table"], registry=self._registry)
        self._behind = self._gauge("auction_sink_offsets_behind", "Offsets that were left behind the last batch.")
        self._written_at = self._gauge("auction_sink_written_timestamp_seconds", "When the last batch was written.")
        self._is_down = self._gauge("auction_sink_target_down", "1 while the target is away and waited for.")
        self._told: dict[str, int] = {}

    def serve(self, host: str, port: int) -> int:
        """Answer /metrics in a thread of its own; the port, which is a free one for 0. OSError: it cannot be had."""
        server, _ = start_http_server(port, host, self._registry)
        return int(server.server_port)

    def wrote(self, written: Mapping[str, int], behind: int) -> None:
        """A batch is written. `written`: all rows since the start, by table."""
        for table, rows in written.items():
            self._rows.labels(table).inc(rows - self._told.get(table, 0))
        self._told = dict(written)
        self._behind.set(behind)
        self._written_at.set(time.time())
        self._is_down.set(0)

    def away(self) -> None:
        """The target does not answer."""
        self._is_down.set(1)

    def _gauge(self, name: str, says: str) -> Gauge:
        return Gauge(name, says, registry=self._registry)
