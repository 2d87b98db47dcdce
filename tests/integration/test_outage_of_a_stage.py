"""A stage that is away is not its queries' fault, and no clock of a producer decides anything: on a real Kafka."""

import asyncio
import json
import time
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.envelope import timestamp
from schemas.topics import GENERATED, SETTLED
from tests.operations.test_metrics import make_metrics
from tests.support.builders import SUBMITTED_AT, Keys, make_scored
from tests.support.kafka_client import Reader, of, produce
from tests.support.worker_process import WorkerProcess, worker
from workers.pipeline import STAGES
from workers.settlement import Settlement
from workers.stage import Stage
from workers.stream.memory import MemoryBus

OWN_TIME_S = 1  # of a stage, for a query that states no deadline
BIDDER = {"advertiser_id": "a", "name": "A", "description": "selling things", "value_micros_per_nat": 1_000}


def query(query_id: str, **fields: Any) -> bytes:
    asked = {"query_id": query_id, "text": "How?", "advertising_consent": True, "advertisers": [BIDDER]}
    return json.dumps({**asked, **fields}).encode()


def latency_s(settlement: WorkerProcess) -> float:
    """The sum over all replies of this worker."""
    with urllib.request.urlopen(f"{settlement.url()}/metrics", timeout=5) as answer:  # noqa: S310  # our own worker
        (line,) = [
            row for row in answer.read().decode().splitlines() if row.startswith("auction_reply_latency_seconds_sum")
        ]
    return float(line.split()[1])


@pytest.mark.kafka
def test_a_backlog_older_than_every_stages_own_deadline_is_still_worked_on(topics: str, tmp_path: Path) -> None:
    run = uuid.uuid4().hex[:8]
    open_, stated, old = (f"{name}-{run}" for name in ("open", "stated", "of-1970"))
    later = timestamp(datetime.now(UTC) + timedelta(minutes=10))
    long_ago = (("ce_time", b"1970-01-01T00:00:00Z"),)
    settings = {"deadline_s": OWN_TIME_S, "candidates": 4}
    with Reader(topics) as reader:
        # Given candidates of three queries, and nobody who scores them until every stage's own time is over
        with worker(["generation"], topics, tmp_path / "generation.log", **settings):
            asked = [
                (open_, query(open_), ()),
                (stated, query(stated, deadline=later), ()),
                (old, query(old), long_ago),
            ]
            produce(topics, [(id_.encode(), value, headers) for id_, value, headers in asked])
            wanted = {id_.encode() for id_, _, _ in asked}
            reader.until(lambda found: wanted <= {one.key() for one in of(found, GENERATED.name)})
        time.sleep(OWN_TIME_S + 0.5)

        # When they come back
        with worker(["scoring", "settlement"], topics, tmp_path / "rest.log", **settings) as rest:
            reader.until(lambda found: wanted <= {one.key() for one in of(found, SETTLED.name)})
            began, sum_s = time.time(), latency_s(rest)

    # Then all are held, and the latency is that of the broker's clock
    replies = {one.key().decode(): json.loads(one.value()) for one in of(reader.messages, SETTLED.name)}
    assert [replies[id_]["outcome"] for id_ in (open_, stated, old)] == ["sold", "sold", "sold"]
    assert replies[old]["submitted_at"] == "1970-01-01T00:00:00Z"
    received = datetime.fromisoformat(replies[old]["received_at"]).timestamp()
    assert abs(began - received) < 600
    assert sum_s < 600 * len(replies)


async def test_with_broker_timestamps_settlement_finds_late_auctions() -> None:
    """No worker's clock is asked: the deadline and the broker's time of the scored event are both in the log."""
    late = make_scored(1, deadline=SUBMITTED_AT, deadline_stated=True)
    in_time = make_scored(2, deadline_stated=True)
    bus, stop = MemoryBus(make_metrics()), asyncio.Event()
    stage = Stage(STAGES["settlement"], Settlement(Keys()), in_flight=4)
    running = asyncio.create_task(bus.run([stage], stop))
    async with bus.read([SETTLED.name]) as records:
        await bus.publish([late.to_record(), in_time.to_record()])
        replies = [json.loads((await asyncio.wait_for(anext(records), 30)).value or b"") for _ in range(2)]
    stop.set()
    await running

    assert [(one["outcome"], one["void_reason"]) for one in replies] == [("void", 205), ("sold", None)]
