"""A Kafka whose settings do not suit the workers, for tests of what they say then."""

from collections.abc import Mapping
from pathlib import Path

from workers.devkafka import DevelopmentBroker
from workers.devkafka.ports import free_port

SETTINGS = {"transaction.max.timeout.ms": 10_000, "group.min.session.timeout.ms": 6_000}
PROTOCOLS = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,LOST:PLAINTEXT"


class StrictBroker(DevelopmentBroker):
    """Transactions may last 10 s and sessions must last 6 s; at `lost_servers` it names an address of nobody's."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self._lost_port = free_port()
        self.lost_servers = f"127.0.0.1:{self._lost_port}"
        self.nobodys_address = f"127.0.0.1:{free_port()}"

    def configure(self, template: Path, places: Mapping[str, str]) -> None:
        super().configure(template, places)
        wanted = {
            **SETTINGS,
            "listeners": f"{self._value('listeners')},LOST://127.0.0.1:{self._lost_port}",
            "advertised.listeners": f"{self._value('advertised.listeners')},LOST://{self.nobodys_address}",
            "listener.security.protocol.map": PROTOCOLS,
        }
        with self.properties.open("a") as properties:  # the last line of a name counts
            properties.writelines(f"{name}={value}\n" for name, value in wanted.items())

    def _value(self, name: str) -> str:
        lines = self.properties.read_text().splitlines()
        return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}="))
