"""Brokers that run on their own: which processes they are, noted in their folder, and whether those still are them."""

import json
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workers.devkafka.node import MAIN_CLASS

PS_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class RunningNode:
    """One process. `data` is its own folder."""

    pid: int
    port: int
    data: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process with this id is still that node: its command line ends with its configuration."""
        return _command_line(self.pid).endswith(f"{MAIN_CLASS} {self.data / 'server.properties'}")


@dataclass(frozen=True)
class RunningBroker:
    """One node, or a cluster of them. `data` is the folder of all."""

    data: Path
    nodes: tuple[RunningNode, ...]

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(node.address for node in self.nodes)

    @property
    def port(self) -> int:
        """That of the first node."""
        return self.nodes[0].port

    @property
    def dead(self) -> tuple[RunningNode, ...]:
        """The nodes that ended without being asked to."""
        return tuple(node for node in self.nodes if not node.alive)


def read_note(data: Path) -> RunningBroker | None:
    """The broker that was noted for this folder and of which something runs.

    A pid that another program has by now does not count.
    """
    data = data.resolve()
    rows = _read_rows(data)
    broker = RunningBroker(data, _nodes(data, rows))
    return broker if len(broker.dead) < len(broker.nodes) else None


def last_port(data: Path) -> int | None:
    """Where the broker of this folder, or its first node, was when it last ran: clients look for it there."""
    rows = _read_rows(data.resolve())
    return rows[0][1] if rows else None


def _read_rows(data: Path) -> list[tuple[int, int]]:
    """Pids and ports of the nodes that were noted; none where no note can be read."""
    try:
        return [(int(row["pid"]), int(row["port"])) for row in json.loads(note_file(data).read_text())["nodes"]]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return []


def write_note(running: RunningBroker) -> None:
    """So that a later command finds it."""
    rows = [{"pid": node.pid, "port": node.port} for node in running.nodes]
    note_file(running.data).write_text(json.dumps({"nodes": rows}) + "\n")


def note_file(data: Path) -> Path:
    return data / "broker.json"


def node_folder(data: Path, number: int, of: int) -> Path:
    """A single node lives in the folder itself, so that both kinds can follow each other there."""
    return data if of == 1 else data / f"node-{number}"


def _nodes(data: Path, rows: list[tuple[int, int]]) -> tuple[RunningNode, ...]:
    return tuple(
        RunningNode(pid, port, node_folder(data, number, len(rows))) for number, (pid, port) in enumerate(rows, 1)
    )


def _command_line(pid: int) -> str:
    """Words joined by a blank; empty when there is no such process."""
    if Path("/proc/self/cmdline").exists():
        with suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        return ""
    listing = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(listing, capture_output=True, text=True, timeout=PS_TIMEOUT_S).stdout.strip()  # noqa: S603
