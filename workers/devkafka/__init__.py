"""A Kafka broker for development and tests: one node from jars, on this machine only, no container needed."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workers.devkafka.node import Node, new_cluster_id
from workers.devkafka.ports import free_port
from workers.devkafka.ready import is_ready
from workers.devkafka.secured import Secured
from workers.stream.connection.security import connection

TEMPLATE = Path(__file__).with_name("server.properties")
START_TIMEOUT_S = 120.0
POLL_S = 0.05


def silent(_: str) -> None:
    """A `note` for nobody."""


class DevelopmentBroker(Node):
    """One node, broker and controller in one process that belongs to this object, bound to 127.0.0.1.

    `data` is its folder: configuration, broker.log, records. The port stays the same over restarts; without one a free
    port is taken. `note` is told what takes long. `version`: another Kafka than the one pom.xml names. `secured`: with
    TLS, logins and rights. Any number of brokers run side by side on different folders.
    """

    def __init__(
        self,
        data: Path,
        port: int | None = None,
        note: Callable[[str], None] = silent,
        version: str | None = None,
        secured: Secured | None = None,
    ) -> None:
        super().__init__(data, free_port() if port is None else port, note, version)
        self.bootstrap_servers = f"127.0.0.1:{self.port}"
        self._secured = secured

    def start(self, within_s: float = START_TIMEOUT_S) -> None:
        """Start and wait until it can be used; records of an earlier run are kept.

        MissingProgram: no Java, or no Maven and no jars. BrokerError: the port is taken, or the node ended or is not
        ready after `within_s`; then nothing is left running.
        """
        self.launch()
        self.wait_until_ready(within_s)

    def launch(self) -> int:
        """The first half of `start`: the process id, as soon as there is one."""
        self.refuse_to_run_twice()
        places, secured = {"controller_port": str(free_port())}, self._secured
        if secured is None:
            self.configure(TEMPLATE, places)
            self.prepare(new_cluster_id())
        else:
            secured.make_certificates()
            self.configure(secured.template, places | secured.places)
            self.prepare(new_cluster_id(), secured.format_options)
        return self.execute()

    def wait_until_ready(self, within_s: float = START_TIMEOUT_S) -> None:
        """The second half of `start`: until the port answers and both coordinators work."""
        deadline = time.monotonic() + within_s
        try:
            while not (self.answers() and is_ready(self._connection())):
                self.check_alive(deadline)
                time.sleep(POLL_S)
        except BaseException:
            self.kill()
            raise

    def _connection(self) -> dict[str, Any]:
        if self._secured is None:
            return {"bootstrap_servers": self.bootstrap_servers}
        return connection(self._secured.client(self.bootstrap_servers))
