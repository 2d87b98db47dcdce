"""Kafka's id of a topic: one that was deleted and made again under its name has another. aiokafka does not ask for it.

Brokers before Kafka 2.8 have none.
"""

from io import BytesIO
from typing import Any

from aiokafka.errors import IncompatibleBrokerVersion, for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from workers.stream.connection.admin_client import Cluster

UUID_BYTES = 16
NO_UUID = bytes(UUID_BYTES)
TEXT, TAGS = CompactString("utf-8"), ("tags", TaggedFields)


class Uuid(AbstractType[bytes]):  # type: ignore[misc]  # aiokafka ships no types
    """16 bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """The 16 bytes as they are."""
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        """The next 16 bytes of an answer."""
        return data.read(UUID_BYTES)


class TopicIdResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(("number", Int32), ("host", TEXT), ("port", Int32), ("rack", TEXT), TAGS)),
        ("cluster_id", TEXT),
        ("controller", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", TEXT),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("number", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("in_sync", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        TAGS,
                    ),
                ),
                ("operations", Int32),
                TAGS,
            ),
        ),
        ("cluster_operations", Int32),
        TAGS,
    )


class TopicIdQuestion(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = TopicIdResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", Uuid), ("name", TEXT), TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_operations", Boolean),
        ("include_topic_operations", Boolean),
        TAGS,
    )


class TopicIdRequest(Request[TopicIdQuestion]):  # type: ignore[misc]
    """Of one topic."""

    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self.topic = topic

    def build(self, request_struct_class: Any) -> Any:
        """The request's content: the topic by its name; one that does not exist is not created."""
        return request_struct_class([(NO_UUID, self.topic, {})], False, False, False, {})


async def topic_id(cluster: Cluster, topic: str) -> str:
    """32 hexadecimal digits; empty where the broker has no such ids. KafkaError, to be retried: it is not there."""
    try:
        answer = await cluster.ask(TopicIdRequest(topic))
    except IncompatibleBrokerVersion:
        return ""
    code, _, found, *_ = answer.topics[0]
    if code:
        raise for_code(code)(topic)
    return "" if found == NO_UUID else str(found.hex())
