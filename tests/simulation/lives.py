"""The processes of a run, what each has told its observer, and what a run leaves to be judged."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

from schemas.envelope import Event
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from tests.simulation.broker import Broker
from tests.simulation.clients import SimulatedClients
from tests.simulation.clock import Process
from tests.simulation.faults import Faults
from tests.simulation.groups import Group
from tests.simulation.scenario import Scenario
from workers.errors import BrokerError
from workers.stream import displacement
from workers.stream.deduplication import recollection, restore
from workers.stream.partition.processor import PartitionActor

FEW_FRESH = 3
NANOSECONDS_PER_MS = 1_000_000


@dataclass
class Journal:
    """The observer of one process's life."""

    committed_ids: list[str] = field(default_factory=list)
    refusals: list[DeadLetterReason] = field(default_factory=list)
    reopened: int = 0
    stale_positions: int = 0

    def committed(self, events: Iterable[Event[Any]]) -> None:
        self.committed_ids += [event.id for event in events]

    def refused(self, stage: str, reason: DeadLetterReason) -> None:
        self.refusals.append(reason)

    def producer_reopened(self, stage: str) -> None:
        self.reopened += 1

    def stale_position(self, stage: str) -> None:
        self.stale_positions += 1

    def __getattr__(self, name: str) -> Any:
        return _ignored


def _ignored(*_: Any) -> None: ...


@dataclass(eq=False)
class Life:
    """One process from its start to its end, and who comes after it."""

    process: Process
    slot: int
    stop: asyncio.Event
    journal: Journal
    task: "asyncio.Task[None] | None" = None
    clients: SimulatedClients | None = None
    failure: BrokerError | None = None  # it ended with


@dataclass
class Outcome:
    """What a run leaves to be judged."""

    scenario: Scenario
    broker: Broker
    faults: Faults
    lives: list[Life]
    inputs: dict[tuple[int, int], int]  # partition and offset: index in scenario.given
    read_live: list[Record]
    findings: list[str]
    steps: int
    virtual_s: float
    trace: list[str]

    @property
    def group(self) -> Group:
        """The only one. ValueError: there are several."""
        (group,) = self.broker.groups.values()
        return group


def actor_of(coroutine: Any) -> PartitionActor | None:
    """Whose `run` the coroutine is."""
    frame = getattr(coroutine, "cr_frame", None)
    return frame.f_locals["self"] if frame is not None and frame.f_code is PartitionActor.run.__code__ else None


@contextlib.contextmanager
def virtual_clock(broker: Broker) -> Iterator[None]:
    """What still reads the process's clock reads the broker's instead; ids are read back after a few already.

    Of processes that begin in the same instant the one that was started first is the earlier one.
    """
    clock = SimpleNamespace(time=lambda: broker.now_ms() / 1_000)
    places = itertools.count()
    began = SimpleNamespace(time_ns=lambda: broker.now_ms() * NANOSECONDS_PER_MS + next(places))
    zeros = SimpleNamespace(token_hex=lambda count: "00" * count)
    with (
        mock.patch.object(restore, "time", clock),
        mock.patch.multiple(displacement, time=began, secrets=zeros),
        mock.patch.object(recollection, "MOST_FRESH", FEW_FRESH),
    ):
        yield
