"""Which Kafka a broker is, as far as it tells: not its version, but the newest metadata format that it understands."""

from io import BytesIO
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

SUPPORTED_FEATURES = 0  # number of the field in the answer's tail
METADATA = "metadata.version"

#: Newest metadata.version of each release: `kafka.tools.StorageTool version-mapping` of Kafka 4.4.0 prints them.
RELEASES = ((21, "3.9 or older"), (25, "4.0"), (27, "4.1"), (29, "4.2"), (30, "4.3"), (33, "4.4"))


class FeaturesResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
    """ApiVersions 3, whose tail names the broker's features."""

    API_KEY = 18
    API_VERSION = 3
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "api_versions",
            CompactArray(("key", Int16), ("min_version", Int16), ("max_version", Int16), ("tags", TaggedFields)),
        ),
        ("throttle_time_ms", Int32),
        ("tags", TaggedFields),
    )


class FeaturesQuestion(RequestStruct):  # type: ignore[misc]
    """What aiokafka does not have: it stops at version 2."""

    FLEXIBLE_VERSION = True
    API_KEY = 18
    API_VERSION = 3
    RESPONSE_TYPE = FeaturesResponse
    SCHEMA = Schema(
        ("client_software_name", CompactString("utf-8")),
        ("client_software_version", CompactString("utf-8")),
        ("tags", TaggedFields),
    )

    def parse_response_header(self, read_buffer: Any) -> Any:
        """Of this answer alone the header is the old one, so that any client can read it."""
        return ResponseHeader_v0.decode(read_buffer)


class FeaturesRequest(Request[FeaturesQuestion]):  # type: ignore[misc]
    """To be sent to the broker that is asked about."""

    API_KEY = 18

    def build(self, request_struct_class: Any) -> Any:
        """The request's content, with the name and version of this client."""
        return request_struct_class("tessera", "1", {})


def newest_metadata(answer: Any) -> int | None:
    """The newest metadata.version in the answer; None where it names none."""
    tail = answer.tags.get(SUPPORTED_FEATURES)
    if tail is None:
        return None
    features = CompactArray(
        ("name", CompactString("utf-8")), ("min_version", Int16), ("max_version", Int16), ("tags", TaggedFields)
    )
    return next((row[2] for row in features.decode(BytesIO(tail)) or () if row[0] == METADATA), None)


def release_of(metadata: int | None) -> str | None:
    """The release line, without the number behind the second dot, which no broker tells; None: not known."""
    if metadata is None:
        return None
    return next((release for newest, release in RELEASES if metadata <= newest), None)
