"""Three brokers, one of them killed in mid-run and started again: every query is settled once, nothing is doubled."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from schemas.topics import CHARGED, SCORED, SETTLED
from tests.support.kafka_client import DEAD_LETTERS, Reader, of, produce
from tests.support.own_node import started
from tests.support.worker_process import worker
from workers.devkafka.development_cluster import DevelopmentCluster
from workers.errors import BrokerError
from workers.pipeline import GROUPS
from workers.settings import Settings
from workers.stream.admin.first_offsets import initialise_offsets
from workers.stream.admin.topics import create_topics
from workers.stream.connection.clients import Clients

pytestmark = pytest.mark.kafka

BATCH = 20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevelopmentCluster]:
    """Three nodes with the product's topics."""
    three = DevelopmentCluster(tmp_path_factory.mktemp("cluster"), note=print)

    async def create() -> None:
        settings = Settings.read(bootstrap_servers=three.bootstrap_servers, replication_factor=3)
        await create_topics(settings)
        await initialise_offsets(settings, GROUPS)

    with started(three):
        with asyncio.Runner() as runner:
            runner.run(create())
        pids = [three.pid(number) for number in three.nodes]
        yield three
        pids += [three.pid(number) for number in three.nodes]
    assert not [pid for pid in pids if pid and psutil.pid_exists(pid)]


def query(query_id: str) -> tuple[bytes, bytes, tuple[()]]:
    advertisers = [
        {"advertiser_id": name, "name": name, "description": "selling things", "value_micros_per_nat": 1_000}
        for name in ("alpha", "beta")
    ]
    body = {"query_id": query_id, "text": f"How do I do {query_id}?", "advertising_consent": True}
    body |= {"advertisers": advertisers}
    value = json.dumps({**body, "parameters": {"candidates": 4, "max_tokens": 20}}).encode()
    return query_id.encode(), value, ()


async def leader(bootstrap_servers: str) -> int:
    """The node that leads where settlement reads."""
    async with Clients(Settings.read(bootstrap_servers=bootstrap_servers)).cluster() as asked:
        partitions = (await asked.retry(asked.partitions))[SCORED.name]
    assert {partition.replicas for partition in partitions} == {3}
    return partitions[0].leader


async def test_the_pipeline_survives_the_death_of_a_node(cluster: DevelopmentCluster, tmp_path: Path) -> None:
    kafka, run = cluster.bootstrap_servers, uuid.uuid4().hex[:8]
    batches = [[f"{run}-{number}" for number in range(at, at + BATCH)] for at in (0, BATCH, 2 * BATCH)]
    victim = await leader(kafka)
    with (
        Reader(kafka) as reader,
        worker(["generation", "scoring", "settlement"], kafka, tmp_path / "log", session_timeout_s=6),
    ):
        # Given stages at work
        produce(kafka, map(query, batches[0]))
        reader.until(lambda messages: bool(of(messages, SETTLED.name)))
        # When a node dies, then the work goes on without it
        killed = cluster.pid(victim)
        cluster.kill(victim)
        produce(kafka, map(query, batches[1]))
        reader.until(lambda messages: len(of(messages, SETTLED.name)) >= 2 * BATCH)
        assert cluster.pid(victim) is None
        # When it comes back
        await asyncio.to_thread(cluster.start_node, victim)
        assert cluster.pid(victim) not in (None, killed)
        produce(kafka, map(query, batches[2]))
        reader.until(lambda messages: len(of(messages, SETTLED.name)) >= 3 * BATCH)
        reader.until(lambda messages: len(of(messages, CHARGED.name)) >= 6 * BATCH)
        messages = reader.rest()
    # Then each query has one reply with its charges, and nothing is doubled
    settled = [json.loads(message.value()) for message in of(messages, SETTLED.name)]
    charges = [json.loads(message.value())["charge_id"] for message in of(messages, CHARGED.name)]
    assert sorted(reply["query_id"] for reply in settled) == sorted(id_ for batch in batches for id_ in batch)
    assert sorted(charges) == sorted(charge_id for reply in settled for charge_id in reply["charge_ids"])
    assert not of(messages, *DEAD_LETTERS)


@pytest.mark.parametrize("nodes", [1, 2, 6])
def test_the_number_of_nodes_has_limits(nodes: int, tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="3 to 5 nodes"):
        DevelopmentCluster(tmp_path, nodes)
