"""Transactions that are open for long: behind the first of them no committed record of a partition can be read."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from workers.stream.connection.admin_client import Cluster

ONGOING = "Ongoing"
TEXT = CompactString("utf-8")


class ListResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
    """ListTransactions 0."""

    API_KEY = 66
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("unknown_states", CompactArray(TEXT)),
        (
            "transactions",
            CompactArray(("id", TEXT), ("producer", Int64), ("state", TEXT), ("tags", TaggedFields)),
        ),
        ("tags", TaggedFields),
    )


class ListQuestion(RequestStruct):  # type: ignore[misc]
    """What aiokafka does not have."""

    FLEXIBLE_VERSION = True
    API_KEY = 66
    API_VERSION = 0
    RESPONSE_TYPE = ListResponse
    SCHEMA = Schema(("states", CompactArray(TEXT)), ("producers", CompactArray(Int64)), ("tags", TaggedFields))


class ListRequest(Request[ListQuestion]):  # type: ignore[misc]
    """The open transactions that one broker coordinates; those that this user may describe."""

    API_KEY = 66

    def build(self, request_struct_class: Any) -> Any:
        """The request's content: transactions in the state ongoing, of every producer."""
        return request_struct_class([ONGOING], [], {})


class DescribeResponse(Response):  # type: ignore[misc]
    """DescribeTransactions 0."""

    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "transactions",
            CompactArray(
                ("error_code", Int16),
                ("id", TEXT),
                ("state", TEXT),
                ("timeout_ms", Int32),
                ("start_ms", Int64),
                ("producer", Int64),
                ("epoch", Int16),
                (
                    "topics",
                    CompactArray(("topic", TEXT), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class DescribeQuestion(RequestStruct):  # type: ignore[misc]
    """What aiokafka does not have."""

    FLEXIBLE_VERSION = True
    API_KEY = 65
    API_VERSION = 0
    RESPONSE_TYPE = DescribeResponse
    SCHEMA = Schema(("ids", CompactArray(TEXT)), ("tags", TaggedFields))


class DescribeRequest(Request[DescribeQuestion]):  # type: ignore[misc]
    """To the broker that coordinates these ids."""

    API_KEY = 65

    def __init__(self, ids: list[str]) -> None:
        self._ids = ids

    def build(self, request_struct_class: Any) -> Any:
        """The request's content: the ids."""
        return request_struct_class(self._ids, {})


@dataclass(frozen=True)
class OpenTransaction:
    """One that has not ended. Kafka aborts it `timeout_s` after its beginning; `places` are topics and partitions."""

    transactional_id: str
    age_s: float
    timeout_s: float
    places: tuple[tuple[str, int], ...]


async def open_transactions(cluster: Cluster) -> list[OpenTransaction]:
    """All that the brokers coordinate and this user may describe. KafkaError: a broker does not answer that."""
    found: list[OpenTransaction] = []
    for broker in await cluster.retry(cluster.brokers):
        found += await cluster.retry(partial(_of_broker, cluster, broker))
    return found


async def _of_broker(cluster: Cluster, broker: int) -> list[OpenTransaction]:
    listed = await cluster.ask(ListRequest(), broker)
    if listed.error_code:
        raise for_code(listed.error_code)(f"transactions of broker {broker}")
    ids = [id_ for id_, *_ in listed.transactions]
    return list(_described(await cluster.ask(DescribeRequest(ids), broker))) if ids else []


def _described(answer: Any) -> Iterator[OpenTransaction]:
    """One that ended meanwhile is left out."""
    for code, id_, state, timeout_ms, start_ms, _, _, topics, _ in answer.transactions:
        if not code and state == ONGOING:
            places = tuple((topic, number) for topic, numbers, _ in topics for number in numbers)
            yield OpenTransaction(id_, time.time() - start_ms / 1_000, timeout_ms / 1_000, places)
