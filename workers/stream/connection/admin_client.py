"""A short connection to Kafka for administration: single requests, a time limit on everything, errors for the user.

Requests go out as aiokafka's protocol classes, because its admin client hides the error code of a whole answer (an
offset fetch during loading looks like "no offsets") and has no offset commit.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    LeaderNotAvailableError,
    NodeNotReadyError,
    NotCoordinatorForGroupError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.admin import CreateTopicsRequest, DescribeConfigsRequest
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

from workers.errors import BrokerError
from workers.stream.connection.access_errors import denied, last_words, unreachable
from workers.stream.connection.advertised_addresses import check_advertised
from workers.stream.connection.broker_version import FeaturesRequest, newest_metadata
from workers.stream.connection.offset_fetch import OffsetFetchRequest, UnstableOffsetCommitError, rows
from workers.stream.connection.security import user_of
from workers.stream.offsets import Completion

T = TypeVar("T")

CONNECT_TIMEOUT_S = 9.0
REQUEST_TIMEOUT_S = 8.0  # below the former: aiokafka closes its socket only when its own limit is reached
WORK_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 3.0
PAUSE_S = 0.1  # between two attempts
GROUP, TRANSACTION = 0, 1  # kinds of coordinator
EARLIEST, LATEST = -2, -1
TOPIC_RESOURCE, BROKER_RESOURCE = 2, 4
#: Generation, member, retention: a commit from outside, refused while the group has members.
SIMPLE_COMMIT = (-1, "", -1)


@dataclass(frozen=True)
class Partition:
    """Where one partition lives: broker numbers; a leader of -1 is none."""

    number: int
    leader: int
    replicas: int


@dataclass(frozen=True)
class TopicPlan:
    """A topic as it is to be created."""

    name: str
    partitions: int
    replication: int
    configs: Mapping[str, str]


class Cluster:
    """The requests. Each raises KafkaError; `retry` repeats those for which Kafka only needs time."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.trouble = "no answer"

    async def retry(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The result of `attempt`, repeated while Kafka answers "not yet"; the limit of `connected` ends it."""
        while True:
            try:
                return await attempt()
            except KafkaError as error:
                if not error.retriable:
                    raise
                self.trouble = str(error)
            await asyncio.sleep(PAUSE_S)

    async def partitions(self) -> dict[str, tuple[Partition, ...]]:
        """Every topic's partitions, in order. All topics are asked for: asking for one by name may create it."""
        answer = (await self.ask(MetadataRequest(None))).to_object()
        found = {topic["topic"]: topic for topic in answer["topics"] if not topic["error_code"]}
        return {name: tuple(sorted(map(_partition, topic["partitions"]), key=_number)) for name, topic in found.items()}

    async def brokers(self) -> tuple[int, ...]:
        """The numbers of the brokers that are there."""
        answer = await self.ask(MetadataRequest([]))
        return tuple(sorted(row[0] for row in answer.brokers))

    async def create(self, plans: Iterable[TopicPlan]) -> dict[str, tuple[int, str]]:
        """Error code (0: created) and message per topic."""
        rows: list[Any] = [
            (plan.name, plan.partitions, plan.replication, [], list(plan.configs.items())) for plan in plans
        ]
        request = CreateTopicsRequest(rows, int(WORK_TIMEOUT_S * 1000), validate_only=False)
        answer = await self.ask_controller(request)
        return {topic: (code, message or for_code(code).__name__) for topic, code, message in answer.topic_errors}

    async def configs(self, topics: Iterable[str], names: list[str]) -> dict[str, dict[str, str]]:
        """Values in force per topic."""
        answer = await self.ask(DescribeConfigsRequest([(TOPIC_RESOURCE, topic, names) for topic in topics]))
        for code, message, _, topic, _ in answer.resources:
            _check(code, f"{topic}: {message}")
        return {topic: {entry[0]: entry[1] for entry in entries} for _, _, _, topic, entries in answer.resources}

    async def broker_configs(self, broker: int, names: list[str]) -> dict[str, str]:
        """Values in force on one broker; what it does not know is left out."""
        answer = await self.ask(DescribeConfigsRequest([(BROKER_RESOURCE, str(broker), names)]), broker)
        (code, message, _, _, entries), *_ = answer.resources
        _check(code, f"broker {broker}: {message}")
        return {entry[0]: entry[1] for entry in entries}

    async def newest_metadata(self, broker: int) -> int | None:
        """The newest metadata.version that a broker understands; None where it does not tell."""
        return newest_metadata(await self.ask(FeaturesRequest(), broker))

    async def offsets(
        self, topic: str, partitions: Iterable[Partition], edge: int, *, stable: bool = False
    ) -> dict[int, int]:
        """The EARLIEST or LATEST offset of each partition: where the next record goes, or, `stable`, the first open
        transaction begins. Any other `edge` is a time, ms: of the first record stamped then or later, -1 without one.
        """
        by_leader: dict[int, list[int]] = {}
        for partition in partitions:
            by_leader.setdefault(partition.leader, []).append(partition.number)
        if -1 in by_leader:
            raise LeaderNotAvailableError(f"{topic}, partitions {by_leader[-1]}")
        found: dict[int, int] = {}
        for leader, numbers in by_leader.items():
            answer = await self.ask(OffsetRequest(-1, stable, [(topic, [(one, edge) for one in numbers])]), leader)
            for number, code, _, offset in answer.topics[0][1]:
                _check(code, f"{topic}, partition {number}")
                found[number] = offset
        return found

    async def committed(self, group: str, topic: str, numbers: Iterable[int]) -> dict[int, int]:
        """The group's offset in each partition, -1 for none."""
        found = await self.committed_with_metadata(group, topic, numbers)
        return {number: offset for number, (offset, _) in found.items()}

    async def committed_with_metadata(
        self, group: str, topic: str, numbers: Iterable[int], *, stable: bool = False
    ) -> dict[int, tuple[int, str]]:
        """Offset, -1 for none, and metadata of each partition. An answer that leaves a partition out is an error.

        `stable`: with nothing pending; a retriable error while somebody's transaction is open, on older brokers.
        """
        node = await self.coordinator(GROUP, group)
        answer = await self.ask(OffsetFetchRequest(group, topic, numbers, stable=stable), node)
        _check(answer.error_code, f"group {group}")
        found: dict[int, tuple[int, str]] = {}
        for number, offset, metadata, code in rows(answer):
            _check(code, f"group {group}, {topic}, partition {number}")
            found[number] = offset, metadata
        if missing := set(numbers) - set(found):
            raise NotCoordinatorForGroupError(f"group {group}: no answer for partitions {sorted(missing)}")
        return found

    async def commit(self, group: str, topic: str, completions: Mapping[int, Completion]) -> None:
        """Write where partitions stand, for a group without members. The call may succeed while one of them fails:
        each is checked.
        """
        node = await self.coordinator(GROUP, group)
        rows = [(number, to.base, to.metadata()) for number, to in completions.items()]
        answer = await self.ask(OffsetCommitRequest(group, *SIMPLE_COMMIT, [(topic, rows)]), node)
        for number, code in answer.topics[0][1]:
            _check(code, f"group {group}, {topic}, partition {number}")

    async def open_transactional_id(self, transactional_id: str) -> None:
        """Give the id a producer epoch, as a new producer would."""
        node = await self.coordinator(TRANSACTION, transactional_id)
        answer = await self.ask(InitProducerIdRequest(transactional_id, 10_000), node)
        _check(answer.error_code, f"transactional id {transactional_id}")

    async def coordinator(self, kind: int, name: str) -> Any:
        """The broker that answers for a group or a transactional id."""
        try:
            return await self._client.coordinator_lookup(kind, name)
        except (GroupAuthorizationFailedError, TransactionalIdAuthorizationFailed) as error:
            raise type(error)(name) from None  # aiokafka does not say whose

    async def ask_controller(self, request: Any) -> Any:
        """The answer to a request that changes the cluster."""
        controller = self._client.cluster.controller
        return await self.ask(request, None if controller is None else controller.nodeId)

    async def ask(self, request: Any, node: int | None = None) -> Any:
        """The answer of this broker, or of any."""
        node = self._client.get_random_node() if node is None else node
        if node is None:
            raise NodeNotReadyError("the cluster names no broker")
        return await self._client.send(node, request)


@asynccontextmanager
async def connected(connection: Mapping[str, Any], within_s: float = WORK_TIMEOUT_S) -> AsyncIterator[Cluster]:
    """A cluster to ask; `connection` is what every aiokafka client is told of it.

    BrokerError: nobody answers (after 10 s), Kafka refuses, or `within_s` is over. AccessDenied: it refuses this user.
    """
    bootstrap_servers = connection["bootstrap_servers"]
    client = AIOKafkaClient(**connection, client_id="tessera-admin", request_timeout_ms=int(REQUEST_TIMEOUT_S * 1000))
    cluster = Cluster(client)
    try:
        await _bootstrap(client, connection)
        await check_advertised(client, bootstrap_servers)
        async with asyncio.timeout(within_s):
            yield cluster
    except TimeoutError:
        raise BrokerError(f"Kafka at {bootstrap_servers}: not done within {within_s:g} s ({cluster.trouble})") from None
    except KafkaError as error:
        if missing := denied(error, user_of(connection)):
            raise missing from error
        raise BrokerError(f"Kafka at {bootstrap_servers}: {error}") from error
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(client.close(), CLOSE_TIMEOUT_S)


async def _bootstrap(client: Any, connection: Mapping[str, Any]) -> None:
    with last_words() as words:
        try:
            await asyncio.wait_for(client.bootstrap(), CONNECT_TIMEOUT_S)
        except (KafkaError, OSError, TimeoutError, ValueError) as error:
            raise unreachable(connection, words.said or str(error)) from None


def _check(code: int, what: str) -> None:
    if code == UnstableOffsetCommitError.errno:
        raise UnstableOffsetCommitError(what)
    if code:
        raise for_code(code)(what)


def _partition(row: Mapping[str, Any]) -> Partition:
    return Partition(row["partition"], row["leader"], len(row["replicas"]))


def _number(partition: Partition) -> int:
    return partition.number
