"""Who has the place of a static member (KIP-345) in its group now, and what it said of itself when it joined.

aiokafka asks for groups in versions that do not name the instance, and does not know the error by which Kafka tells a
member that another one has joined under its name meanwhile.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aiokafka.errors
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import BrokerResponseError, KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Bytes, Int16, Int32, Schema, String

from workers.stream.connection.admin_client import GROUP, Cluster

STABLE = "Stable"  # only such a group tells what its members have said
TEXT = String("utf-8")


class FencedInstanceIdError(BrokerResponseError):  # type: ignore[misc]  # aiokafka ships no types
    """Another member has joined the group under this instance's name."""

    errno = 82
    message = "FENCED_INSTANCE_ID"


aiokafka.errors.kafka_errors[FencedInstanceIdError.errno] = FencedInstanceIdError


class StillRebalancing(KafkaError):  # type: ignore[misc]
    """The group is about to be stable: it only needs time."""

    retriable = True


class DescribeGroupsResponse_v4(Response):  # type: ignore[misc]
    API_KEY = 15
    API_VERSION = 4
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            Array(
                ("error_code", Int16),
                ("group", TEXT),
                ("state", TEXT),
                ("protocol_type", TEXT),
                ("protocol", TEXT),
                (
                    "members",
                    Array(
                        ("member_id", TEXT),
                        ("instance", TEXT),
                        ("client_id", TEXT),
                        ("client_host", TEXT),
                        ("metadata", Bytes),
                        ("assignment", Bytes),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
    )


class DescribeGroupsRequest_v4(RequestStruct):  # type: ignore[misc]
    API_KEY = 15
    API_VERSION = 4
    RESPONSE_TYPE = DescribeGroupsResponse_v4
    SCHEMA = Schema(("groups", Array(TEXT)), ("include_authorized_operations", Boolean))


class StaticMembersRequest(Request[DescribeGroupsRequest_v4]):  # type: ignore[misc]
    """DescribeGroups of one group, to be sent to its coordinator. Kafka 2.4 and later answer it."""

    API_KEY = 15

    def __init__(self, group: str) -> None:
        self.group = group

    def build(self, request_struct_class: Any) -> Any:
        """The request's content: the group, without what this user may do to it."""
        return request_struct_class([self.group], False)


@dataclass(frozen=True, slots=True)
class Holder:
    """Where the member is, and the user data of its subscription."""

    host: str
    said: bytes


async def holder(cluster: Cluster, group: str, instance: str) -> Holder | None:
    """Who has the place of this group instance id; None: nobody. StillRebalancing: it cannot be told yet."""
    answer = await cluster.ask(StaticMembersRequest(group), await cluster.coordinator(GROUP, group))
    code, _, state, _, _, members, _ = answer.groups[0]
    if code:
        raise for_code(code)(f"group {group}")
    found = next((member for member in members if member[1] == instance), None)
    if found is not None and state != STABLE:
        raise StillRebalancing(f"group {group} is rebalancing")
    return None if found is None else Holder(found[3], ConsumerProtocolMemberMetadata.decode(found[4]).user_data)


def saying(said: bytes) -> type[RoundRobinPartitionAssignor]:
    """aiokafka's own assignor, by whose subscription a member says `said` to the group."""

    class Saying(RoundRobinPartitionAssignor):  # type: ignore[misc]
        @classmethod
        def metadata(cls, topics: Iterable[str]) -> Any:
            return ConsumerProtocolMemberMetadata(cls.version, list(topics), said)

    return Saying


def is_fenced(error: KafkaError) -> bool:
    """Whether another member has joined as this instance while it joined itself; aiokafka wraps it in a text."""
    return FencedInstanceIdError.__name__ in str(error)
