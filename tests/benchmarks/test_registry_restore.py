"""A registry restored from Kafka into generation's table and its search index: time, memory, and what a search costs.

The table is restored in a process of its own, so that its memory is its own. Times are of wall clocks.
"""

import asyncio
import json
import random
import resource
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.advertiser import AdvertiserProfile
from schemas.topics import PROFILES
from tests.benchmarks.report import Scale
from tests.support.builders import make_profile
from workers.advertisers.registry import register
from workers.advertisers.search import SearchIndex
from workers.app.bus import bus_of
from workers.app.registry import MOST_BYTES
from workers.settings import Settings
from workers.stream.connection.admin_client import TopicPlan
from workers.stream.connection.clients import Clients
from workers.stream.table import TopicTable

PARTITIONS, SEARCHES = 4, 1_000
WORDS_KNOWN = 30_000  # with frequencies as in a language: the k-th word is about 1/k as frequent as the first

pytestmark = pytest.mark.kafka


def words(rng: random.Random, count: int) -> str:
    return " ".join(f"w{min(WORDS_KNOWN, int(rng.paretovariate(0.7)))}" for _ in range(count))


def fill(kafka: str, topic: str, count: int) -> None:
    rng, producer = random.Random(13), Producer({"bootstrap.servers": kafka, "linger.ms": 50})
    for number in range(count):
        id_ = f"advertiser-{number}"
        profile = make_profile(0, advertiser_id=id_, name=f"Brand {number}", description=words(rng, 10))
        producer.produce(topic, key=id_, value=profile.encode())
        if number % 1_000 == 0:
            producer.flush()
    assert producer.flush(60) == 0


async def restore(kafka: str, topic: str) -> dict[str, Any]:
    payload = type("AdvertiserProfile", (AdvertiserProfile,), {"event_type": topic})
    index = SearchIndex()
    options: Any = {"most_bytes": MOST_BYTES, "changed": index.update}
    settings = Settings.read(bootstrap_servers=kafka)
    table: TopicTable[Any, Any] = TopicTable(bus_of(settings), replace(PROFILES, payload=payload), register, **options)
    before_mib, began = _peak_mib(), time.perf_counter()
    await table.restore()
    restored_s = time.perf_counter() - began
    rng, spent = random.Random(4), []
    for _ in range(SEARCHES):
        text = words(rng, 12)
        began = time.perf_counter()
        index.find(text, 32)
        spent.append((time.perf_counter() - began) * 1e3)
    spent.sort()
    return {
        "profiles": len(table),
        "restored, s": restored_s,
        "profiles/s": len(table) / restored_s,
        "memory, MiB": float(_peak_mib()),
        "of it before, MiB": float(before_mib),
        "search p50, ms": spent[SEARCHES // 2],
        "search p99, ms": spent[SEARCHES * 99 // 100],
    }


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def test_a_registry_is_restored(scale: Scale, kafka: str) -> None:
    rows = []
    for count in scale((50_000, 1_000_000), (1_000,)):
        topic = f"benchmark.{uuid.uuid4().hex}"
        async with Clients(Settings.read(bootstrap_servers=kafka)).cluster() as cluster:
            await cluster.create([TopicPlan(topic, PARTITIONS, 1, {"cleanup.policy": "compact"})])
        await asyncio.to_thread(fill, kafka, topic, count)
        command = [sys.executable, "-m", "tests.benchmarks.test_registry_restore", kafka, topic]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=scale(900, 120))
        assert ended.returncode == 0, ended.stderr
        rows.append(json.loads(ended.stdout))
        assert rows[-1]["profiles"] == count
    scale.report("registry-restore", rows)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(restore(sys.argv[1], sys.argv[2]))))
