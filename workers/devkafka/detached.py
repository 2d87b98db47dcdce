"""The development broker as a service of this user: it outlives the command that started it, one per data folder."""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from workers.devkafka import POLL_S, START_TIMEOUT_S, DevelopmentBroker
from workers.devkafka.development_cluster import DevelopmentCluster, wait_until_ready
from workers.devkafka.jars import kafka_version
from workers.devkafka.node import STOP_TIMEOUT_S, Node
from workers.devkafka.running import RunningBroker, RunningNode, last_port, note_file, read_note, write_note
from workers.errors import BrokerError
from workers.user_folders import state_folder

DEFAULT_PORT = 9_092
Note = Callable[[str], None]


def default_data() -> Path:
    """The folder of the broker that commands mean when they name none."""
    return state_folder() / "broker"


def find_broker(data: Path) -> RunningBroker | None:
    """The broker that runs on this folder, with all its nodes or with some."""
    return read_note(data)


def start_broker(data: Path, port: int | None, note: Note, nodes: int = 1) -> tuple[RunningBroker, bool]:
    """The broker of this folder, and whether anything had to be started.

    Its port is the given one, without one that of its last start, without that 9092.

    Further nodes have the ports that follow. Nodes of a running cluster that have ended are started again.
    BrokerError: it runs on another port or with another number of nodes, the port is taken, the folder cannot be used,
    or Kafka does not start. MissingProgram: no Java, or no Maven when the jars have to be fetched.
    """
    try:
        data = data.resolve()
        data.mkdir(parents=True, exist_ok=True)
        with _only_one(data):
            if running := find_broker(data):
                _refuse_another(running, port, nodes)
                return (_revive(running, note), True) if running.dead else (running, False)
            note(f"starting Kafka {kafka_version()}" + (f", {nodes} nodes" if nodes > 1 else ""))
            return _start(data, port or last_port(data) or DEFAULT_PORT, note, nodes), True
    except OSError as error:
        raise BrokerError(f"Kafka cannot be started on {data}: {error}") from None


def stop_broker(data: Path) -> RunningBroker | None:
    """Stop the broker of this folder, within 20 s, by force after that; None when none runs. BrokerError: not ours.

    The note stays: the next start is on the same port.
    """
    if running := find_broker(data):
        _end(running)
    return running


def _start(data: Path, port: int, note: Note, nodes: int) -> RunningBroker:
    """The pids are noted before the wait, so that `stop` can end them whatever happens to this command."""
    if nodes == 1:
        single = DevelopmentBroker(data, port, note)
        single.launch()
        return _keep(data, [single], single.wait_until_ready)
    cluster = DevelopmentCluster(data, nodes, tuple(range(port, port + nodes)), note)
    cluster.launch()
    return _keep(data, list(cluster.nodes.values()), cluster.wait_until_ready)


def _keep(data: Path, nodes: Sequence[Node], wait: Callable[[], None]) -> RunningBroker:
    try:
        running = RunningBroker(data, tuple(RunningNode(node.pid or 0, node.port, node.data) for node in nodes))
        write_note(running)
        wait()
    except BaseException:
        for node in nodes:
            node.kill()
        note_file(data).unlink(missing_ok=True)
        raise
    for node in nodes:
        node.release()
    return running


def _revive(running: RunningBroker, note: Note) -> RunningBroker:
    """The same cluster with its dead nodes back; they keep their configuration. BrokerError: one does not start."""
    note(f"starting the {len(running.dead)} of {len(running.nodes)} nodes that have ended")
    started = {dead.data: Node(dead.data, dead.port, note) for dead in running.dead}
    try:
        for node in started.values():
            node.execute()
        pids = {folder: node.pid or 0 for folder, node in started.items()}
        nodes = tuple(RunningNode(pids.get(node.data, node.pid), node.port, node.data) for node in running.nodes)
        revived = RunningBroker(running.data, nodes)
        write_note(revived)
        wait_until_ready(revived.bootstrap_servers, list(started.values()), len(nodes), START_TIMEOUT_S)
    except BaseException:
        for node in started.values():
            node.kill()
        raise
    for node in started.values():
        node.release()
    return revived


def _refuse_another(running: RunningBroker, port: int | None, nodes: int) -> None:
    found = len(running.nodes)
    if port not in (None, running.port) or nodes != found:
        pids = ", ".join(str(node.pid) for node in running.nodes)
        raise BrokerError(
            f"the broker of {running.data} runs already, on port {running.port} with {found} "
            f"node{'' if found == 1 else 's'} (pid {pids}): "
            f"`tessera broker stop` first, or start a second one in a folder of its own with --data"
        )


def _end(running: RunningBroker) -> None:
    """All nodes at once: the last of them alone would wait for a majority."""
    _signal(running.nodes, signal.SIGTERM)
    if left := _left(running.nodes, STOP_TIMEOUT_S):
        _signal(left, signal.SIGKILL)
        _left(left, STOP_TIMEOUT_S)


def _signal(nodes: Sequence[RunningNode], what: signal.Signals) -> None:
    for node in nodes:
        try:
            if node.alive:
                os.kill(node.pid, what)
        except ProcessLookupError:
            continue
        except PermissionError:
            raise BrokerError(f"the broker with pid {node.pid} belongs to another user") from None


def _left(nodes: Sequence[RunningNode], within_s: float) -> tuple[RunningNode, ...]:
    """Those that still run when the time is over, or none as soon as all are gone."""
    deadline = time.monotonic() + within_s
    while left := tuple(node for node in nodes if node.alive):
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_S)
    return left


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BrokerError(
                f"another `tessera broker start` is at work in {data}; try again when it is done"
            ) from None
        yield
