"""A development broker with a second listener whose clients are told the address of a proxy."""

from collections.abc import Mapping
from pathlib import Path

from workers.stream.broker import DevelopmentBroker, free_port

CHANGED = ("listeners=", "advertised.listeners=", "listener.security.protocol.map=")


class ProxiedBroker(DevelopmentBroker):
    """Clients follow advertised addresses: whoever starts at the proxy's port stays behind the proxy.

    `port` stays the way around it, for those who feed and watch.
    """

    def __init__(self, data: Path, proxy_port: int) -> None:
        super().__init__(data)
        self.proxied_port, self._proxy_port = free_port(), proxy_port

    def configure(self, template: Path, places: Mapping[str, str]) -> None:
        super().configure(template, places)
        added = dict(
            zip(
                CHANGED,
                (
                    f",PROXIED://127.0.0.1:{self.proxied_port}",
                    f",PROXIED://127.0.0.1:{self._proxy_port}",
                    ",PROXIED:PLAINTEXT",
                ),
                strict=True,
            )
        )
        lines = self.properties.read_text().splitlines()
        changed = [line + next((text for name, text in added.items() if line.startswith(name)), "") for line in lines]
        self.properties.write_text("\n".join(changed) + "\n")
