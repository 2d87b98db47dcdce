"""What Prometheus is told of a copy."""

import urllib.request

from workers.sinks.metrics import SinkMetrics


def test_rows_are_counted_once_and_an_outage_ends_with_the_next_batch() -> None:
    metrics = SinkMetrics()
    port = metrics.serve("127.0.0.1", 0)

    def shown() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    metrics.wrote({"charges": 3}, 10)
    metrics.away()
    assert "auction_sink_target_down 1.0" in shown()
    metrics.wrote({"charges": 5, "credits": 1}, 0)

    text = shown()
    assert 'auction_sink_rows_total{table="charges"} 5.0' in text
    assert 'auction_sink_rows_total{table="credits"} 1.0' in text
    assert "auction_sink_offsets_behind 0.0" in text and "auction_sink_target_down 0.0" in text
