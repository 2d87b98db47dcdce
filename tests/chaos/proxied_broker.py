"""Development brokers, one or three, each with a second listener whose clients are told the address of a proxy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from workers.devkafka import START_TIMEOUT_S, DevelopmentBroker, silent
from workers.devkafka.development_cluster import DevelopmentCluster
from workers.devkafka.node import Node

CHANGED = ("listeners=", "advertised.listeners=", "listener.security.protocol.map=")


class Brokers(Protocol):
    """What a campaign needs of them. `bootstrap_servers` is the way around the proxy, for those who feed and watch."""

    bootstrap_servers: str

    @property
    def nodes(self) -> Mapping[int, Node]: ...
    def start(self) -> None: ...
    def start_node(self, node: int, within_s: float) -> None: ...
    def stop(self) -> None: ...


def proxied_brokers(data: Path, ports: Mapping[int, int]) -> Brokers:
    """One for each pair of ports: of its second listener, and of the proxy in front of it."""
    return ProxiedBroker(data, *next(iter(ports.items()))) if len(ports) == 1 else ProxiedCluster(data, ports)


class ProxiedNode(Node):
    """Clients follow advertised addresses: whoever starts at the proxy's port stays behind the proxy."""

    proxied_port: int
    proxy_port: int

    def configure(self, template: Path, places: Mapping[str, str]) -> None:
        super().configure(template, places)
        added = (
            f",PROXIED://127.0.0.1:{self.proxied_port}",
            f",PROXIED://127.0.0.1:{self.proxy_port}",
            ",PROXIED:PLAINTEXT",
        )
        lines = self.properties.read_text().splitlines()
        self.properties.write_text("".join(f"{_extended(line, added)}\n" for line in lines))


def _extended(line: str, added: tuple[str, ...]) -> str:
    """The line of a configuration, with what belongs to the second listener."""
    return line + next((text for name, text in zip(CHANGED, added, strict=True) if line.startswith(name)), "")


class ProxiedBroker(ProxiedNode, DevelopmentBroker):
    """One node."""

    def __init__(self, data: Path, proxied_port: int, proxy_port: int) -> None:
        super().__init__(data)
        self.proxied_port, self.proxy_port = proxied_port, proxy_port

    @property
    def nodes(self) -> Mapping[int, Node]:
        return {1: self}

    def start_node(self, node: int, within_s: float = START_TIMEOUT_S) -> None:
        self.start(within_s)


class ProxiedCluster(DevelopmentCluster):
    """Three nodes."""

    def __init__(self, data: Path, ports: Mapping[int, int]) -> None:
        super().__init__(data, len(ports))
        for (number, node), (proxied_port, proxy_port) in zip(list(self.nodes.items()), ports.items(), strict=True):
            self.nodes[number] = proxied = ProxiedNode(node.data, node.port, silent)
            proxied.proxied_port, proxied.proxy_port = proxied_port, proxy_port
