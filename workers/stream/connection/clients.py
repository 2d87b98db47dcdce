"""Makes every client of Kafka that this process has: who the brokers are and how one speaks to them is said once."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from workers.errors import TesseraError
from workers.settings import Settings
from workers.stream.connection.access_errors import unreachable
from workers.stream.connection.admin_client import WORK_TIMEOUT_S, Cluster, connected
from workers.stream.connection.security import connection, user_of

REQUEST_TIMEOUT_MS = 8_000
FETCH_BYTES, PARTITION_FETCH_BYTES = 16 * 1024 * 1024, 1024 * 1024  # of one answer; a larger batch comes alone


class Clients:
    """Consumers, producers and administration, all with one way to connect.

    Whoever wants another Kafka than the real one (a simulator) or a producer with faults (a crash test) gives the bus
    another object with these methods.
    """

    def __init__(self, settings: Settings) -> None:
        """SettingsError: nothing protects the connection and nobody has allowed that, or a protection is half set."""
        self._connection = connection(settings)

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of the brokers to ask first, separated by commas."""
        servers: str = self._connection["bootstrap_servers"]
        return servers

    @property
    def user(self) -> str:
        """Who this process is to Kafka."""
        return user_of(self._connection)

    def alter_topic(self, topic: str, setting: str, value: object) -> str:
        """The command, for a shell, that changes a setting of a topic."""
        login = " --command-config ADMIN.properties" if "security_protocol" in self._connection else ""
        return (
            f"`kafka-configs.sh --bootstrap-server {self.bootstrap_servers}{login} --alter --entity-type topics "
            f"--entity-name {topic} --add-config {setting}={value}`"
        )

    def unreachable(self, why: str) -> TesseraError:
        """The error for a client that did not connect."""
        return unreachable(self._connection, why)

    def consumer(self, *, uncommitted: bool = False, **options: Any) -> Any:
        """An AIOKafkaConsumer that never commits by itself and never guesses a position; of committed records."""
        return AIOKafkaConsumer(
            **self._connection,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_uncommitted" if uncommitted else "read_committed",
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
            **options,
        )

    def producer(self, **options: Any) -> Any:
        """An AIOKafkaProducer."""
        return AIOKafkaProducer(**self._connection, request_timeout_ms=REQUEST_TIMEOUT_MS, **options)

    def cluster(self, within_s: float = WORK_TIMEOUT_S) -> AbstractAsyncContextManager[Cluster]:
        """A short connection for administration; see `connected`."""
        return connected(self._connection, within_s)
