"""What the active controller says of the metadata quorum, and with it what time it is there."""

from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

METADATA_TOPIC, METADATA_PARTITION = "__cluster_metadata", 0
REPLICAS = CompactArray(
    ("replica_id", Int32),
    ("log_end_offset", Int64),
    ("last_fetch_ms", Int64),
    ("last_caught_up_ms", Int64),
    ("tags", TaggedFields),
)


class QuorumResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
    """DescribeQuorum 1."""

    API_KEY = 55
    API_VERSION = 1
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "topics",
            CompactArray(
                ("name", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("high_watermark", Int64),
                        ("voters", REPLICAS),
                        ("observers", REPLICAS),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class QuorumQuestion(RequestStruct):  # type: ignore[misc]
    """What aiokafka does not have."""

    FLEXIBLE_VERSION = True
    API_KEY = 55
    API_VERSION = 1
    RESPONSE_TYPE = QuorumResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("partitions", CompactArray(("partition", Int32), ("tags", TaggedFields))),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class QuorumRequest(Request[QuorumQuestion]):  # type: ignore[misc]
    """Any broker hands it to the active controller. It takes Describe on the cluster."""

    API_KEY = 55

    def build(self, request_struct_class: Any) -> Any:
        """The request's content: the one partition of the cluster's metadata."""
        return request_struct_class([(METADATA_TOPIC, [(METADATA_PARTITION, {})], {})], {})


def controller_time_ms(answer: Any) -> int | None:
    """Milliseconds since 1970 by the controller's clock when it answered; None where it does not tell.

    It gives for each voter when that last caught up, and for itself the present moment.
    """
    for _, partitions, _ in answer.topics:
        for _, _, leader, _, _, voters, _, _ in partitions:
            return next((caught_up for replica, _, _, caught_up, _ in voters if replica == leader), None)
    return None
