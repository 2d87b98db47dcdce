"""Other settings of a topic for a while, set by a client that shares no code with ours."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

WAIT_S = 30.0


def alter(kafka: str, topic: str, settings: Mapping[str, str | None]) -> None:
    """Set each; None takes it back to what it is without one."""
    entries = [
        ConfigEntry(
            name,
            value or "",
            incremental_operation=AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET,
        )
        for name, value in settings.items()
    ]
    admin = AdminClient({"bootstrap.servers": kafka})
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin.incremental_alter_configs([resource])[resource].result(WAIT_S)


@contextmanager
def altered(kafka: str, topic: str, settings: Mapping[str, str]) -> Iterator[None]:
    """Set for the time of the block, then as before."""
    admin = AdminClient({"bootstrap.servers": kafka})
    resource = ConfigResource(ResourceType.TOPIC, topic)
    before = admin.describe_configs([resource])[resource].result(WAIT_S)
    alter(kafka, topic, settings)
    try:
        yield
    finally:
        alter(kafka, topic, {name: before[name].value for name in settings})
