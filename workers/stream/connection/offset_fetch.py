"""Where a group stands, asked with `require_stable` (KIP-447), which aiokafka's own request is too old for.

While a transaction has an offset of the partition pending, the coordinator then answers "not yet" in place of the one
before. Against a coordinator that comes up with an older state it helps nothing (decision 0011). Brokers before
Kafka 2.5 are asked without it.
"""

from collections.abc import Iterable
from typing import Any

from aiokafka.errors import BrokerResponseError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetFetchRequest_v3
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields


class UnstableOffsetCommitError(BrokerResponseError):  # type: ignore[misc]  # aiokafka ships no types
    """An open transaction has an offset of the partition pending: Kafka only needs time."""

    errno = 88
    message = "UNSTABLE_OFFSET_COMMIT"
    retriable = True


class OffsetFetchResponse_v7(Response):  # type: ignore[misc]  # aiokafka's way to name versions
    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", CompactString("utf-8")),
                        ("error_code", Int16),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("error_code", Int16),
        ("tags", TaggedFields),
    )


class OffsetFetchRequest_v7(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 9
    API_VERSION = 7
    RESPONSE_TYPE = OffsetFetchResponse_v7
    SCHEMA = Schema(
        ("group", CompactString("utf-8")),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)
            ),
        ),
        ("require_stable", Boolean),
        ("tags", TaggedFields),
    )


class OffsetFetchRequest(Request[OffsetFetchRequest_v3 | OffsetFetchRequest_v7]):  # type: ignore[misc]
    """One topic's partitions, to be sent to the group's coordinator. `stable`: ask with `require_stable`."""

    API_KEY = 9

    def __init__(self, group: str, topic: str, numbers: Iterable[int], *, stable: bool) -> None:
        self.group, self.topic, self.numbers, self.stable = group, topic, list(numbers), stable

    def build(self, request_struct_class: Any) -> Any:
        """The request's content in the older or the newer form; the older one has no `require_stable`."""
        if request_struct_class is OffsetFetchRequest_v3:
            return request_struct_class(self.group, [(self.topic, self.numbers)])
        return request_struct_class(self.group, [(self.topic, self.numbers, {})], self.stable, {})


def rows(answer: Any) -> list[tuple[int, int, str, int]]:
    """Partition, offset, metadata and error code, whichever version the answer has."""
    found = answer.topics[0][1] if answer.topics else []
    return [row[:2] + row[3:5] if len(row) > 4 else row for row in found]
