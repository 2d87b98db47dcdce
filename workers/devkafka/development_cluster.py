"""Three Kafka brokers for development and tests: every record on each of them, and any one of them may die."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from workers.devkafka import POLL_S, START_TIMEOUT_S, silent
from workers.devkafka.node import Node, new_cluster_id
from workers.devkafka.ports import free_ports
from workers.devkafka.ready import is_ready
from workers.devkafka.running import node_folder
from workers.errors import BrokerError

TEMPLATE = Path(__file__).with_name("server-3.properties")
NODES = range(3, 6)  # fewer than three cannot lose one and go on; more than five belong on more machines
CLUSTER_START_TIMEOUT_S = 2 * START_TIMEOUT_S


class DevelopmentCluster:
    """Nodes 1 to `nodes`, each broker and controller, bound to 127.0.0.1; three copies of a record, two suffice.

    `data` holds a folder for each, `node-1` and on. `ports` are those for clients, free ones unless given; they stay
    the same over restarts. `note` is told what takes long; `version` as for DevelopmentBroker. BrokerError: a number
    of nodes that cannot be had.
    """

    def __init__(
        self,
        data: Path,
        nodes: int = 3,
        ports: tuple[int, ...] | None = None,
        note: Callable[[str], None] = silent,
        version: str | None = None,
    ) -> None:
        if nodes not in NODES or (ports is not None and len(ports) != nodes):
            raise BrokerError(f"a development cluster has {NODES.start} to {NODES.stop - 1} nodes and a port for each")
        self.data = data.resolve()
        ports = free_ports(nodes) if ports is None else ports
        self.nodes = {
            number: Node(node_folder(self.data, number, nodes), port, note, version)
            for number, port in enumerate(ports, start=1)
        }
        self.bootstrap_servers = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes.values())

    def pid(self, node: int) -> int | None:
        """The process id of a node while it runs."""
        return self.nodes[node].pid

    def start(self, within_s: float = CLUSTER_START_TIMEOUT_S) -> None:
        """Start all nodes and wait until topics with three copies can be made and every coordinator answers.

        MissingProgram, BrokerError: as for one broker; then nothing is left running.
        """
        self.launch()
        self.wait_until_ready(within_s)

    def launch(self) -> dict[int, int]:
        """The first half of `start`: the process ids."""
        for node in self.nodes.values():
            node.refuse_to_run_twice()
        self._configure()
        self._format()
        try:
            return {number: node.execute() for number, node in self.nodes.items()}
        except BaseException:
            self.kill_all()
            raise

    def wait_until_ready(self, within_s: float = CLUSTER_START_TIMEOUT_S) -> None:
        """The second half of `start`."""
        try:
            self._wait(within_s)
        except BaseException:
            self.kill_all()
            raise

    def start_node(self, node: int, within_s: float = START_TIMEOUT_S) -> None:
        """Start a node that was stopped or killed, with what it had; wait until all are there again. BrokerError."""
        self.nodes[node].execute()
        self._wait(within_s)

    def restart(self, node: int, within_s: float = START_TIMEOUT_S) -> None:
        """Stop a node in order and start it."""
        self.nodes[node].stop()
        self.start_node(node, within_s)

    def kill(self, node: int) -> None:
        """End a node as a power cut would; `start_node` brings it back."""
        self.nodes[node].kill()

    def kill_all(self) -> None:
        """End all of them as a power cut would."""
        for node in self.nodes.values():
            node.kill()

    def stop(self) -> None:
        """End all nodes in order, all at once: the last alone would wait for a majority. By force after 20 s each."""
        for node in self.nodes.values():
            node.terminate()
        for node in self.nodes.values():
            node.stop()

    def release(self) -> None:
        """Let them run on without this object, which does not know them from now on."""
        for node in self.nodes.values():
            node.release()

    def _wait(self, within_s: float) -> None:
        wait_until_ready(self.bootstrap_servers, list(self.nodes.values()), len(self.nodes), within_s)

    def _configure(self) -> None:
        """Anew before each start of all: the controllers' ports may be taken by now."""
        controllers = dict(zip(self.nodes, free_ports(len(self.nodes)), strict=True))
        voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in controllers.items())
        for number, node in self.nodes.items():
            own = {"node": str(number), "controller_port": str(controllers[number])}
            node.configure(TEMPLATE, {**own, "voters": voters})

    def _format(self) -> None:
        """Under one cluster id, which is kept: a node whose folder was lost must join the others."""
        note = self.data / "cluster-id"
        if not note.exists():
            note.write_text(new_cluster_id() + "\n")
        cluster_id = note.read_text().strip()
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(lambda node: node.prepare(cluster_id), self.nodes.values()))


def wait_until_ready(bootstrap_servers: str, nodes: Sequence[Node], brokers: int, within_s: float) -> None:
    """Until so many `brokers` serve and every coordinator answers; BrokerError where one of `nodes` ends before."""
    deadline = time.monotonic() + within_s
    while not (all(node.answers() for node in nodes) and is_ready({"bootstrap_servers": bootstrap_servers}, brokers)):
        for node in nodes:
            node.check_alive(deadline)
        time.sleep(POLL_S)
