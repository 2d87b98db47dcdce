"""The group coordinator: members, generations, heartbeats and sessions; offsets that count when their marker comes."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import (
    IllegalGenerationError,
    InvalidProducerEpoch,
    InvalidTxnState,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from tests.simulation.log import Fate
from workers.stream.connection.offset_fetch import UnstableOffsetCommitError
from workers.stream.connection.static_members import FencedInstanceIdError

Error = type[KafkaError] | None
CATCHING_UP_S = 3.0
LOST = 0.3  # of the coordinators that come up behind
Places = list[tuple[str, int]]


@dataclass(eq=False)
class Member:
    id: str
    instance: str | None
    session_s: float
    subscription: bytes = b""  # as the member gave it
    answer: Callable[[Any], None] | None = None  # to its join, while it waits for one
    places: Places = field(default_factory=list)
    deadline_s: float = 0.0


@dataclass(eq=False)
class Group:
    """`places`: all input partitions. `committed` and `pending` hold (offset, metadata).

    `behind`: what a coordinator that came up answers instead of `committed`, until it has taken a write, or for a
    while (Kafka 4.2.2 takes requests while it still reads its log; decision 0011). `is_lost`: until it comes up again
    instead: it takes writes, and goes on answering that. `waits`:
    whether one that is asked for stable offsets says "not yet" while a transaction is open, as older coordinators do.
    """

    name: str
    places: Places
    rng: random.Random
    later: Callable[..., Any]
    now: Callable[[], float]
    note: Callable[[str], None]
    generation: int = 0
    balancing: bool = False
    members: dict[str, Member] = field(default_factory=dict)
    committed: dict[tuple[str, int], tuple[int, str]] = field(default_factory=dict)
    pending: dict[int, dict[tuple[str, int], tuple[int, str]]] = field(default_factory=dict)
    epochs: dict[int, int] = field(default_factory=dict)
    offset_history: list[tuple[tuple[str, int], int, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    behind: dict[tuple[str, int], tuple[int, str]] | None = None
    is_lost: bool = False
    waits: bool = False
    _timer: asyncio.TimerHandle | None = None
    _joined: int = 0

    # Membership

    def join(
        self,
        id_: str | None,
        instance: str | None,
        session_s: float,
        subscription: bytes,
        answer: Callable[[Any], None],
    ) -> None:
        member = self.members.get(id_ or "")
        if member is None and id_ is not None:
            answer(FencedInstanceIdError if self.holder(instance) else UnknownMemberIdError)
            return
        if member is None:
            member = self._new_member(instance, session_s, subscription)
            if not self._place_of_old(member, answer):
                return
        member.answer = answer
        self._balance(session_s)

    def holder(self, instance: str | None) -> Member | None:
        """Who has the place of a static member."""
        return next((one for one in self.members.values() if instance and one.instance == instance), None)

    def _new_member(self, instance: str | None, session_s: float, subscription: bytes) -> Member:
        self._joined += 1
        return Member(f"member-{self._joined}", instance, session_s, subscription)

    def _place_of_old(self, member: Member, answer: Callable[[Any], None]) -> bool:
        """Add the member; whether a rebalance is needed, which a known static instance does not."""
        old = self.holder(member.instance)
        if old is not None:
            self.members.pop(old.id)
            if old.answer is not None:
                old.answer(FencedInstanceIdError)
            member.places = old.places
        self.members[member.id] = member
        self._touch(member)
        if old is not None and not self.balancing:
            self.note("static member came back")
            answer((member.id, self.generation, member.places))
            return False
        return True

    def _balance(self, session_s: float) -> None:
        if not self.balancing:
            self.balancing = True
            self.note("rebalance")
            self._timer = self.later(session_s, self._complete)
        if all(member.answer for member in self.members.values()):
            self._complete()

    def _complete(self) -> None:
        if not self.balancing:
            return
        if self._timer is not None:
            self._timer.cancel()
        for member in [one for one in self.members.values() if one.answer is None]:
            self.note("member left behind by a rebalance")
            self.members.pop(member.id)
        self.balancing, self.generation = False, self.generation + 1
        order = sorted(self.members)
        self.rng.shuffle(order)
        for index, id_ in enumerate(order):
            member = self.members[id_]
            member.places = self.places[index :: len(order)]
            answer, member.answer = member.answer, None
            self._touch(member)
            if answer is not None:
                answer((member.id, self.generation, member.places))

    def heartbeat(self, id_: str, generation: int) -> Error:
        member = self.members.get(id_)
        if member is None:
            return UnknownMemberIdError
        if generation != self.generation:
            return IllegalGenerationError
        self._touch(member)
        return RebalanceInProgressError if self.balancing else None

    def leave(self, id_: str) -> None:
        if self.members.pop(id_, None) is not None and self.members:
            self._balance(1.0)

    def _touch(self, member: Member) -> None:
        fresh = member.deadline_s <= self.now()
        member.deadline_s = self.now() + member.session_s
        if fresh:
            self.later(member.session_s, self._expire, member)

    def _expire(self, member: Member) -> None:
        if self.members.get(member.id) is not member:
            return
        left_s = member.deadline_s - self.now()
        if left_s > 0.001 or member.answer is not None:
            member.deadline_s = max(member.deadline_s, self.now() + 0.1)
            self.later(max(left_s, 0.1), self._expire, member)
            return
        self.note("session expired")
        self.members.pop(member.id)
        if self.members:
            self._balance(member.session_s)

    # Offsets

    def come_up(self) -> None:
        """A coordinator that has loaded gives everybody a new session. Of what was committed it may know the past."""
        for member in self.members.values():
            self._touch(member)
        self.waits, self.is_lost = self.rng.random() < 0.5, False
        if self.rng.random() < 0.6:
            known = self.rng.randint(0, len(self.offset_history))
            first = dict.fromkeys(self.places, (0, ""))
            self.behind = first | {place: (offset, text) for place, offset, text in self.offset_history[:known]}
            if self.behind != self.committed:
                self.note("coordinator came up behind")
            self.is_lost = self.rng.random() < LOST
            if self.is_lost:
                self.note("coordinator lost the past")
            elif self.rng.random() < 0.5:
                self.later(self.rng.uniform(0.0, CATCHING_UP_S), self._catch_up)

    def _catch_up(self) -> None:
        if not self.is_lost:
            self.behind = None

    def stands_at(self, place: tuple[str, int], stable: bool) -> tuple[int, str] | Error:
        """Offset and metadata that are answered."""
        if stable and self.waits and any(place in offsets for offsets in self.pending.values()):
            self.note("offset not stable")
            return UnstableOffsetCommitError
        answer = (self.committed if self.behind is None else self.behind).get(place, (-1, ""))
        if answer != self.committed.get(place, answer):
            self.note("old offset answered")
        return answer

    def check(self, pid: int, epoch: int, verify: Callable[[], bool]) -> Error:
        if epoch < self.epochs.get(pid, -1):
            return InvalidProducerEpoch
        return None if pid in self.pending or verify() else InvalidTxnState

    def store(self, pid: int, epoch: int, offsets: dict[tuple[str, int], tuple[int, str]]) -> None:
        self.epochs[pid] = epoch
        self._catch_up()
        self.pending.setdefault(pid, {}).update(offsets)

    def mark(self, pid: int, epoch: int, fate: Fate) -> None:
        self.epochs[pid] = max(epoch, self.epochs.get(pid, -1))
        self._catch_up()
        stored = self.pending.pop(pid, {})
        if fate is not Fate.COMMITTED:
            return
        for place, (offset, metadata) in stored.items():
            before = self.committed.get(place, (0, ""))[0]
            if offset < before:
                self.faults.append(f"{self.name}: committed offset of {place} goes back from {before} to {offset}")
            self.committed[place] = offset, metadata
            self.offset_history.append((place, offset, metadata))
