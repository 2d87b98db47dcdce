"""A stage of the pipeline: what it reads and writes, what it needs, and the worker that does its work.

This is all that `stream/` knows of the business.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.envelope import Event
from schemas.payload import Payload
from schemas.topics import POSITION_SUFFIX, Topic


class Worker(Protocol):
    """What a stage does with one event. It raises Refused, or lets a bug or a dead engine propagate."""

    async def handle(self, event: Event[Any]) -> Sequence[Event[Payload]]: ...


@dataclass(frozen=True)
class StageSpec:
    """A row of the pipeline's table (pipeline.py)."""

    name: str
    consumes: Topic
    publishes: tuple[Topic, ...]
    build: Callable[[Any], Worker]  # from the means of a process: see pipeline.py

    needs_engine: bool = False
    needs_rewards: bool = False  # what candidates are worth to each advertiser
    needs_draw_keys: bool = False  # to draw replies, each day with a key that is committed to
    draws_candidates: bool = False
    follows: Topic | None = None  # a table that it keeps in memory: restored before it begins, then followed

    #: Only watches: a record it cannot work on is another stage's to refuse, so that it has one dead letter.
    watches: bool = False

    #: Whether its results are committed in the order of the input. Otherwise what is finished is committed at once, and
    #: what is still missing before it stands beside the offset.
    in_order: bool = True

    #: Where it writes which ids it has worked on, if one record of each id is all it may work on. The bus gives it that
    #: memory: a second record of an id becomes a dead letter. As many partitions as `consumes`, and the same key.
    remembers: Topic | None = None

    @property
    def group(self) -> str:
        """The consumer group; stable across deployments."""
        return f"auction.{self.name}"

    @property
    def positions(self) -> str:
        """The topic in which it writes where it stands in each partition of its input."""
        return self.group + POSITION_SUFFIX


@dataclass(frozen=True)
class Stage:
    """A stage with its worker, ready to run on a bus. `in_flight`: records worked on at once, per input partition."""

    spec: StageSpec
    worker: Worker
    in_flight: int
