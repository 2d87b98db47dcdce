"""The seam: consumers, producers and administration of one simulated process. Producers are aiokafka's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest

from tests.simulation.consumer import SimulatedConsumer
from tests.simulation.network import Network
from workers.errors import BrokerError
from workers.stream.connection.admin_client import WORK_TIMEOUT_S, Cluster
from workers.stream.connection.clients import REQUEST_TIMEOUT_MS
from workers.stream.connection.security import ANONYMOUS

NODE = 0
REFRESH_S = 0.02
LONG_POLL_S = 0.5


class Topology:
    """What a client knows of the cluster: one node leads everything."""

    def __init__(self, network: Network) -> None:
        self._logs = network.broker.logs

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        logs = self._logs.get(topic)
        return None if logs is None else set(range(len(logs)))

    available_partitions_for_topic = partitions_for_topic

    def leader_for_partition(self, partition: TopicPartition) -> int:
        return NODE


class SimulatedClient:
    """As far as producers and `Cluster` use AIOKafkaClient: `send` takes aiokafka's own request objects."""

    def __init__(self, network: Network, client_id: str, timeout_s: float) -> None:
        self._network, self._client_id, self._timeout_s = network, client_id, timeout_s
        self.cluster = Topology(network)

    async def send(self, node: int, request: Any, *, group: Any = None) -> Any:
        handle = self._network.api.handle
        kind = type(request).__name__.removesuffix("Request")
        answer = await self._network.ask(kind, lambda: handle(request), self._timeout_s)
        if kind == "Fetch" and not answer.topics[0][1][0][-1]:
            await asyncio.sleep(LONG_POLL_S)  # the broker waits for records
        return answer

    async def bootstrap(self) -> None:
        await self.send(NODE, MetadataRequest())

    async def close(self) -> None: ...

    async def ready(self, node: int, *, group: Any = None) -> bool:
        return self._network.broker.is_up

    def get_random_node(self) -> int:
        return NODE

    async def coordinator_lookup(self, kind: int, key: str) -> int:
        answer = await self.send(NODE, FindCoordinatorRequest(key, kind))
        return int(answer.coordinator_id)

    def force_metadata_update(self) -> "asyncio.Future[bool]":
        loop = asyncio.get_running_loop()
        updated: asyncio.Future[bool] = loop.create_future()
        loop.call_later(REFRESH_S, lambda: updated.done() or updated.set_result(True))
        return updated

    async def _maybe_wait_metadata(self) -> None: ...

    async def _wait_on_metadata(self, topic: str) -> set[int]:
        partitions = self.cluster.partitions_for_topic(topic)
        if partitions is None:
            raise UnknownTopicOrPartitionError(topic)
        return partitions


class SimulatedClients:
    """Takes the place of `workers.stream.connection.clients.Clients`."""

    bootstrap_servers = "simulated"
    user = ANONYMOUS

    def __init__(self, network: Network) -> None:
        self._network = network
        self.producers: list[Any] = []

    def unreachable(self, why: str) -> BrokerError:
        return BrokerError(f"no broker answers: {why}")

    def consumer(self, **options: Any) -> Any:
        return SimulatedConsumer(self._network, options)

    def producer(self, **options: Any) -> Any:
        """aiokafka's producer, its client exchanged for a simulated one."""
        producer = AIOKafkaProducer(bootstrap_servers="localhost:9", request_timeout_ms=REQUEST_TIMEOUT_MS, **options)
        client = SimulatedClient(self._network, str(options.get("client_id")), REQUEST_TIMEOUT_MS / 1_000)
        producer.client = producer._sender.client = client
        producer._metadata = producer._message_accumulator._cluster = client.cluster
        self.producers.append(producer)
        return producer

    @asynccontextmanager
    async def cluster(self, within_s: float = WORK_TIMEOUT_S) -> AsyncIterator[Cluster]:
        """As `workers.stream.connection.admin_client.connected`."""
        cluster = Cluster(SimulatedClient(self._network, "admin", 8.0))
        try:
            async with asyncio.timeout(within_s):
                yield cluster
        except TimeoutError:
            raise BrokerError(f"not done within {within_s:g} s ({cluster.trouble})") from None
        except KafkaError as error:
            raise BrokerError(f"Kafka: {error!r}") from error
