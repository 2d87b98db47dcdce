"""How a broker dies. Each way takes the node and what is drawn, and says whether the node has really died in that way.

A way blocks until the node is dead; whoever calls it starts the node again.
"""

import os
import random
import resource
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.chaos.fleet import state_of
from workers.devkafka.node import Node

Death = Callable[[Node, random.Random], bool]
FROZEN_S = (4.0, 7.0)  # longer than a worker's session of 3 s
THAWED_S = (0.0, 1.5)  # before it is killed all the same
FULL_WITHIN_S = 10.0
TORN_BYTES = 400  # at most, of a batch that no longer fits
POLL_S = 0.02
CHECKPOINT_WITHIN_S = 10.0  # Kafka writes them every 5 s
CHECKPOINT = "replication-offset-checkpoint"
NEVER_WRITTEN = b"0\n0\n"  # version 0, no partition


def killed(node: Node, drawn: random.Random) -> bool:
    """As by a power cut."""
    node.kill()
    return True


def stopped(node: Node, drawn: random.Random) -> bool:
    """In order."""
    node.stop()
    return True


def frozen_and_killed(node: Node, drawn: random.Random) -> bool:
    """Frozen beyond the workers' sessions, then killed: as it is, or a moment after it goes on."""
    thaw = drawn.random() < 0.5
    return _frozen(node, drawn.uniform(*FROZEN_S), drawn.uniform(*THAWED_S) if thaw else None)


def frozen_thawed_and_killed(node: Node, drawn: random.Random) -> bool:
    """Frozen for as long as it can be, and killed when its clients begin to hope."""
    return _frozen(node, FROZEN_S[1], drawn.uniform(*THAWED_S))


def _frozen(node: Node, for_s: float, thawed_s: float | None) -> bool:
    pid = node.pid or 0
    os.kill(pid, signal.SIGSTOP)
    time.sleep(for_s)
    was_frozen = state_of(pid) == "T"
    if thawed_s is not None:
        os.kill(pid, signal.SIGCONT)
        time.sleep(thawed_s)
    node.kill()
    return was_frozen


def disk_full(node: Node, drawn: random.Random) -> bool:
    """No file may grow beyond the size of one that is there, of the smaller half: in the largest nothing may be written
    any more. A batch is torn, the log folder fails, the broker ends.

    What a full disk does to Kafka, without a disk of its own: the write comes back short, the next one with an error.
    The limit is the process's, so the next one has room again.
    """
    segments = sorted(size for path in node.data.glob("log/*/*.log") if (size := path.stat().st_size))
    limit = drawn.choice(segments[: (len(segments) + 1) // 2]) + drawn.randrange(TORN_BYTES)
    resource.prlimit(node.pid or 0, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    deadline = time.monotonic() + FULL_WITHIN_S
    while node.pid is not None and time.monotonic() < deadline:
        time.sleep(POLL_S)
    ended_by_itself = node.pid is None
    node.kill()
    return ended_by_itself


class Checkpoints:
    """Copies of the files in which brokers note every few seconds up to where each log is committed."""

    def __init__(self, nodes: Mapping[int, Node]) -> None:
        self._copies: dict[Path, bytes] = {}
        for node in nodes.values():
            self.keep(node)

    def keep(self, node: Node) -> None:
        """Take a copy of the node's."""
        path = _checkpoint(node)
        self._copies[path] = _content(path)

    def killed_and_outdated(self, node: Node, drawn: random.Random) -> bool:
        """Killed; what it finds is an older copy of that file, as if the last ones had not reached the disk."""
        path = _checkpoint(node)
        older, deadline = self._copies[path], time.monotonic() + CHECKPOINT_WITHIN_S
        while _content(path) == older and time.monotonic() < deadline:
            time.sleep(POLL_S)
        node.kill()
        newer = _content(path)
        path.write_bytes(older)
        return older != newer


def _checkpoint(node: Node) -> Path:
    return node.data / "log" / CHECKPOINT


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else NEVER_WRITTEN
