"""Where a period begins and ends in a topic, asked of a real Kafka by the broker's own stamps."""

import asyncio
import json
import uuid
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from schemas.record import Outgoing
from tests.support.new_topics import make_topics
from tests.support.worker_process import tessera
from workers.app.bus import bus_of
from workers.settings import Settings
from workers.stream.connection.admin_client import TopicPlan
from workers.stream.connection.clients import Clients
from workers.stream.period import STAMPS_MAY_DIFFER, begins_at, ends_at

pytestmark = pytest.mark.kafka


async def test_a_period_is_read_from_its_first_record_and_not_to_the_end_of_time(kafka: str) -> None:
    settings, name = Settings.read(bootstrap_servers=kafka), f"period-{uuid.uuid4()}"
    clients, bus = Clients(settings), bus_of(settings)
    async with clients.cluster() as cluster:
        await make_topics(cluster, [TopicPlan(name, 2, 1, {"message.timestamp.type": "LogAppendTime"})])
    for value in (b"0", b"1", b"2"):
        await bus.publish([Outgoing(name, b"one key", value)])
        await asyncio.sleep(0.005)  # each has a stamp of its own
    records = [record async for record in bus.stored([name])]
    times, place = [record.time for record in records], (name, records[0].partition)
    empty = (name, 1 - records[0].partition)
    middle, after = times[1], times[2] + timedelta(seconds=1)

    async def read(begin: datetime | None, end: datetime | None) -> list[bytes | None]:
        return [record.value async for record in bus.stored_in([name], begin, end)]

    assert [(await begins_at(clients, [name], at))[place] for at in (times[0], middle, after)] == [0, 1, 3]
    assert (await ends_at(clients, [name], middle - STAMPS_MAY_DIFFER))[place] == 1
    assert (await begins_at(clients, [name], middle))[empty] == 0  # nothing is in the other partition
    assert await read(middle, None) == [b"1", b"2"]
    assert await read(None, times[2] - STAMPS_MAY_DIFFER) == [b"0", b"1"]
    assert await read(after, None) == []
    assert len([record async for record in bus.stored_in([name], after, None, whole=[name])]) == 3
    assert await read(datetime.min.replace(tzinfo=times[0].tzinfo), middle) == [b"0", b"1", b"2"]


def test_an_audit_reads_what_is_new_or_in_two_processes(topics: str, tmp_path: Path) -> None:
    """Exit codes are those of other tests' records, too: nobody else writes while this test runs."""
    state = tmp_path / "audited.json"

    def audited() -> int:
        done = tessera("audit", "--state", str(state), "--grace", "0", "--json", kafka=topics)
        assert done.returncode in (0, 1), done.stderr
        return int(json.loads(done.stdout.splitlines()[-1])["auctions"])

    def hold(auctions: int) -> None:
        done = tessera("demo", "--kafka", "--json", "--limit", str(auctions), kafka=topics, engine="embedded")
        assert done.returncode == 0, done.stderr

    hold(1)
    assert audited() >= 1
    hold(2)
    assert [audited(), audited()] == [2, 0]
    one, two = (
        json.loads(tessera("audit", "--processes", count, "--json", kafka=topics).stdout.splitlines()[-1])
        for count in ("1", "2")
    )
    assert one["auctions"] == two["auctions"] >= 3
    assert one["invariants"]["charges"] == two["invariants"]["charges"]
