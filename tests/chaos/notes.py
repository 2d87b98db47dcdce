"""What the workers' producers have noted: who holds which id, who was fenced, how soon others went on."""

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.failpoints import ABORT, KILL, RAISE, STOP
from tests.chaos.fleet import Fleet, Thaw

SKEW_S = 1.0  # between a note and the moment when the driver saw it
FENCED_WITHIN_S = 20.0
FENCED = ("ProducerFenced", "InvalidProducerEpoch")


@dataclass(frozen=True)
class Kill:
    """A worker was killed, when, while it held these transactional ids."""

    at_s: float
    ids: frozenset[str]


@dataclass(frozen=True)
class Recovery:
    """How long after a kill all partitions of the victim with more work had made progress; None: none had more.

    A partition that nobody commits to until the end has no more work: at the end nothing is unread anywhere.
    """

    killed_s: float
    took_s: float | None


@dataclass(frozen=True)
class Zombie:
    """A worker that was frozen beyond its session and went on: somebody else had its partition, or it was fenced."""

    taken_over: bool
    fenced: bool
    before_commit: bool  # it had sent its offsets, and the next thing it did was to commit

    @property
    def is_proven(self) -> bool:
        return self.taken_over or self.fenced


class Holders:
    """Who holds which transactional id, by the notes of the producers; read again and again, to their ends."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._read: dict[Path, int] = {}
        self.notes: list[dict[str, Any]] = []
        self.kills: list[Kill] = []
        self._holder: dict[str, int] = {}
        self._ever: set[int] = set()

    def update(self) -> None:
        """Read what was noted since."""
        for replica in self._fleet:
            self._read.setdefault(replica.armoury.events, 0)
        for path in self._read:
            if path.exists():
                self._read_on(path)

    def _read_on(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(self._read[path])
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read[path] += len(whole)
        for line in whole.splitlines():
            self._take(json.loads(line))

    def _take(self, note: dict[str, Any]) -> None:
        self.notes.append(note)
        if note["event"] == "start":
            self._holder[note["id"]] = note["pid"]
            self._ever.add(note["pid"])
        if note["event"] == "fired" and note["action"] == KILL:
            self.kills.append(Kill(note["t_s"], self.held_by(note["pid"])))

    def killed(self, pid: int) -> None:
        """The driver is about to kill this one."""
        self.kills.append(Kill(time.monotonic(), self.held_by(pid)))

    def held_by(self, pid: int) -> frozenset[str]:
        return frozenset(id_ for id_, holder in self._holder.items() if holder == pid)

    def ever_held(self, pid: int) -> bool:
        return pid in self._ever

    def fired(self) -> dict[str, int]:
        """Fail-points that fired: kills, aborts and failures."""
        fired = [note["action"] for note in self.notes if note["event"] == "fired"]
        return {"worker_kill_in_transaction": fired.count(KILL), "abort": fired.count(ABORT) + fired.count(RAISE)}

    def zombies(self, thaws: Iterable[Thaw]) -> list[Zombie]:
        """Each frozen worker, and what proves that it was a zombie."""
        return [self._zombie(thaw) for thaw in thaws]

    def _zombie(self, thaw: Thaw) -> Zombie:
        held = {id_ for id_ in self._holder if self._holder_at(id_, thaw.stopped_s) == thaw.pid}
        near = [n for n in self.notes if thaw.stopped_s - SKEW_S < n["t_s"] < thaw.thawed_s + FENCED_WITHIN_S]
        mine = [note for note in near if note["pid"] == thaw.pid]
        return Zombie(
            taken_over=any(
                note["event"] == "start"
                and note["id"] in held
                and thaw.stopped_s < note["t_s"] < thaw.thawed_s + SKEW_S
                for note in near
                if note["pid"] != thaw.pid
            ),
            fenced=any(note.get("result", "").startswith(FENCED) for note in mine if note["t_s"] >= thaw.thawed_s),
            before_commit=any(
                note["event"] == "fired" and note["action"] == STOP and abs(note["t_s"] - thaw.stopped_s) < SKEW_S
                for note in mine
            ),
        )

    def _holder_at(self, id_: str, at_s: float) -> int | None:
        """Whose start with this id was the last one until then."""
        starts = [n for n in self.notes if n["event"] == "start" and n["id"] == id_ and n["t_s"] < at_s]
        return max(starts, key=lambda note: note["t_s"])["pid"] if starts else None

    def recoveries(self) -> list[Recovery]:
        """For each kill, the time until every id that the victim held and that had more work was committed to."""
        firsts: dict[str, list[float]] = defaultdict(list)
        for note in self.notes:
            if note["event"] == "first":
                firsts[note["id"]].append(note["t_s"])
        return [_recovery(kill, firsts) for kill in self.kills if kill.ids]


def _recovery(kill: Kill, firsts: Mapping[str, Sequence[float]]) -> Recovery:
    behind = [min((at for at in firsts[id_] if at > kill.at_s), default=None) for id_ in kill.ids]
    ends = [at for at in behind if at is not None]
    return Recovery(kill.at_s, max(ends) - kill.at_s if ends else None)
